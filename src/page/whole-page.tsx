import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import type { OverviewAnswer } from '../operator-api/schemas.ts';
import { agentLink } from './agent-link.ts';
import { AuditRecords } from './audit-view.tsx';
import { EventsView } from './events-view.tsx';
import { HealthView } from './health-view.tsx';
import { LinkNotice } from './link-notice.tsx';
import { OneNamespace } from './namespace-view.tsx';
import { NamespacesView } from './namespaces-view.tsx';
import { useObservable } from './observable-value.ts';
import { OverviewView } from './overview-view.tsx';
import { PageHeader, titleOf } from './page-header.tsx';
import type { Route } from './page-routes.ts';
import { QueuesView } from './queues-view.tsx';
import { TokenForm } from './token-form.tsx';
import { type KnownAnswer, useAnswer } from './use-answer.ts';
import { useRoute } from './use-route.ts';

/** The whole page. */
export function WholePage(): JSX.Element {
  const route = useRoute();
  const link = useObservable(agentLink);
  const overview = useAnswer<OverviewAnswer>('overview');
  const title = route.name ?? titleOf(route.view);
  const main = useRef<HTMLElement>(null);
  const shown = useRef(`${route.view} ${route.name}`);
  useEffect(() => {
    document.title = `${title} · Pulse Agent`;
    const key = `${route.view} ${route.name}`;
    if (key === shown.current) return;
    shown.current = key;
    // Another view begins at its top, and a screen reader reads its heading.
    scrollTo(0, 0);
    main.current?.focus({ preventScroll: true });
  }, [title, route]);
  if (link.is === 'token') {
    return (
      <main id="main">
        <TokenForm reason={link.reason} />
      </main>
    );
  }
  return (
    <>
      <a
        class="skip-link"
        href="#main"
        onClick={(event) => {
          event.preventDefault();
          main.current?.focus();
        }}
      >
        Skip to the content
      </a>
      <PageHeader overview={overview.data} view={route.view} />
      <LinkNotice />
      <main id="main" ref={main} tabIndex={-1}>
        <h1 class={route.view === 'overview' || route.name !== undefined ? 'hidden-text' : undefined}>
          <bdi>{title}</bdi>
        </h1>
        <View route={route} overview={overview} />
      </main>
    </>
  );
}

interface ViewProps {
  readonly route: Route;
  readonly overview: KnownAnswer<OverviewAnswer>;
}

function View({ route, overview }: ViewProps): JSX.Element {
  switch (route.view) {
    case 'overview':
      return <OverviewView overview={overview.data} failure={overview.failure} />;
    case 'queues':
      return <QueuesView route={route} />;
    case 'namespaces':
      if (route.name === undefined) return <NamespacesView route={route} />;
      return <OneNamespace key={route.name} name={route.name} route={route} />;
    case 'events':
      return <EventsView route={route} />;
    case 'audit':
      return <AuditRecords route={route} />;
    case 'health':
      return <HealthView overview={overview.data} />;
  }
}
