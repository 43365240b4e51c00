import type { JSX } from 'preact';
import { useMemo } from 'preact/hooks';
import type { AuditAnswer } from '../operator-api/schemas.ts';
import { AuditList } from './audit-list.tsx';
import { AUDIT_SPANS, PAGE_AUDIT_ACTIONS, sinceOf } from './audit-texts.ts';
import { agentNowMs } from './page-clock.ts';
import { Awaited, RefusalNote } from './page-parts.tsx';
import { type Route, routeHref } from './page-routes.ts';
import { useAnswer } from './use-answer.ts';
import { showRoute } from './use-route.ts';
import { Choices, SearchField, SelectField } from './view-controls.tsx';

/** What was done, by whom and why. */
export function AuditRecords({ route: { query } }: { readonly route: Route }): JSX.Element {
  const { namespace = '', action = '', who = '', hours = '0', after = '' } = query;
  const since = useMemo(() => sinceOf(hours, agentNowMs()), [hours]);
  const asked = { namespace, action, who, since, after, limit: 100 };
  const { data, isPrevious, failure } = useAnswer<AuditAnswer>('audit', asked);
  const filter = (change: Record<string, string>): string =>
    routeHref('audit', { query: { ...query, after: '', ...change } });
  const show = (change: Record<string, string>): void => showRoute(filter(change), { replace: true });
  const spans = AUDIT_SPANS.map(({ label, hours: span }) => ({
    label,
    href: filter({ hours: span === 0 ? '' : String(span) }),
    isChosen: String(span) === hours,
  }));
  return (
    <>
      <div class="controls">
        <SelectField
          label="Action"
          value={action}
          all="all actions"
          options={PAGE_AUDIT_ACTIONS}
          onSelect={(value) => show({ action: value })}
        />
        <SearchField
          label="Namespace, its whole name"
          value={namespace}
          onSearch={(text) => show({ namespace: text })}
        />
        <SearchField label="Who" value={who} onSearch={(text) => show({ who: text })} />
        <Choices label="Since when" choices={spans} />
      </div>
      {data === undefined ? (
        <Awaited failure={failure} />
      ) : (
        <div class={isPrevious ? 'panel waiting' : 'panel'} aria-busy={isPrevious}>
          <RefusalNote failure={failure} />
          <AuditList
            records={data.items}
            empty={data.next === undefined ? 'No record matches.' : 'No record matches here; older ones may.'}
          />
          <nav class="pager" aria-label="Pages of the audit">
            {after === '' ? (
              <span>the newest</span>
            ) : (
              <a class="page-link" href={filter({})}>
                Newest
              </a>
            )}
            {data.next !== undefined && (
              <a class="page-link" href={filter({ after: data.next })}>
                Older
              </a>
            )}
          </nav>
        </div>
      )}
    </>
  );
}
