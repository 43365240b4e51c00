import type { JSX } from 'preact';
import type { OverviewAnswer } from '../operator-api/schemas.ts';
import { agentLink } from './agent-link.ts';
import { GlobalSearch } from './global-search.tsx';
import { Lasting } from './instant.tsx';
import { countedText } from './page-formats.ts';
import { routeHref, type ViewName, VIEWS } from './page-routes.ts';
import { forgetToken, sessionToken } from './session-token.ts';
import { useObservable } from './observable-value.ts';
import { StateMark } from './state-mark.tsx';
import { ThemeSwitch } from './theme-switch.tsx';

interface PageHeaderProps {
  readonly overview: OverviewAnswer | undefined;
  readonly view: ViewName;
}

/** What is true on every view: which installation it is, whether it is well, and the way to the other views. */
export function PageHeader({ overview, view }: PageHeaderProps): JSX.Element {
  const hasToken = useObservable(sessionToken, (token) => token !== undefined);
  return (
    <header class="page-header">
      <div class="page-header-line">
        <a class="brand" href={routeHref('overview')}>
          <svg viewBox="0 0 32 32" aria-hidden="true">
            <rect width="32" height="32" rx="8" />
            <path d="M4 17h6l3-8 5 15 4-10 1.5 3H28" />
          </svg>
          Pulse Agent
        </a>
        {overview !== undefined && <Facts overview={overview} />}
        <GlobalSearch />
        <div class="page-tools">
          <ThemeSwitch />
          {hasToken && (
            <button type="button" class="quiet" onClick={forgetToken}>
              Sign out
            </button>
          )}
        </div>
      </div>
      <nav class="views" aria-label="Views">
        {VIEWS.map((name) => (
          <a key={name} href={routeHref(name)} aria-current={name === view ? 'page' : undefined}>
            {titleOf(name)}
          </a>
        ))}
      </nav>
    </header>
  );
}

function Facts({
  overview: { agent, agents, broker, state, findings },
}: {
  readonly overview: OverviewAnswer;
}): JSX.Element {
  const isAway = useObservable(agentLink, ({ is }) => is === 'unreachable');
  const [worst] = findings;
  const running = agents?.filter((one) => one.state !== 'lost' && one.state !== 'replaced');
  return (
    <p class="page-facts">
      <StateMark state={isAway ? 'unknown' : state} />
      <span>
        <bdi>{agent.id}</bdi>
      </span>
      {running !== undefined && <span>{countedText(running.length, 'agent')}</span>}
      <span>RabbitMQ {broker.version ?? 'does not answer'}</span>
      {worst !== undefined && (
        <a href={routeHref('overview')} class={worst.level === 'down' ? 'worst bad' : 'worst'}>
          {worst.about} {worst.level}
          {worst.since !== undefined && (
            <>
              {' '}
              <Lasting since={worst.since} />
            </>
          )}
          {findings.length > 1 && `, ${findings.length - 1} more`}
        </a>
      )}
    </p>
  );
}

/** The name of a view as people read it. */
export function titleOf(view: ViewName): string {
  return view === 'events' ? 'Live events' : `${view[0]?.toUpperCase() ?? ''}${view.slice(1)}`;
}
