import type { JSX } from 'preact';
import type { NamespaceAnswer, QueueRow } from '../operator-api/schemas.ts';
import { AuditList } from './audit-list.tsx';
import { CopyCommand } from './copy-command.tsx';
import { DataTable, unsortable } from './data-table.tsx';
import { EventList } from './event-list.tsx';
import { Instant } from './instant.tsx';
import { NamespaceConnections, RecordPanel, NamespaceTrouble } from './namespace-parts.tsx';
import { countedText } from './page-formats.ts';
import { Awaited, RefusalNote, Panel } from './page-parts.tsx';
import { type Route, routeHref } from './page-routes.ts';
import { PlanList } from './plan-list.tsx';
import { queueColumns } from './queue-columns.tsx';
import { QueuePanel } from './queue-panel.tsx';
import { StateMark } from './state-mark.tsx';
import { useAnswer } from './use-answer.ts';
import { useEvents } from './use-events.ts';

/** All that is known of one namespace. */
export function OneNamespace({ name, route }: { readonly name: string; readonly route: Route }): JSX.Element {
  const { data, isPrevious, failure } = useAnswer<NamespaceAnswer>(`namespaces/${encodeURIComponent(name)}`);
  const events = useEvents({ namespaces: name });
  const known = isPrevious ? undefined : data;
  const isGone = failure?.code === 'ResourceNotFound';
  // Without a choice it is the deepest, which is the first.
  const queue = route.query.queue ?? known?.queueRows[0]?.queue;
  return (
    <>
      <p class="breadcrumb">
        <a href={routeHref('namespaces')}>Namespaces</a> <span aria-hidden="true">/</span>{' '}
        <bdi class="given-name">{name}</bdi>
        {known !== undefined && <StateMark state={known.state} />}
      </p>
      {isGone && <NotHeld name={name} seen={known?.at} />}
      {known === undefined ? (
        !isGone && <Awaited failure={failure} />
      ) : (
        <div class="panels">
          {!isGone && <RefusalNote failure={failure} />}
          <NamespaceTrouble known={known} />
          <RecordPanel known={known} />
          <Panel title="What happens next">
            <PlanList steps={known.planned} most={8} empty="Nothing is planned." />
          </Panel>
          {queue !== undefined && <QueuePanel queue={queue} />}
          <Panel title="Queues" class="wide" aside={countedText(known.queues ?? known.queueRows.length, 'queue')}>
            <DataTable<QueueRow>
              label={`Queues of ${name}`}
              columns={unsortable(queueColumns(known.trendAt))}
              rows={known.queueRows}
              rowKey={(row) => row.queue}
              empty="It has no queue."
            />
          </Panel>
          <Panel title="Audit" aside={<a href={routeHref('audit', { query: { namespace: name } })}>all records</a>}>
            <AuditList records={known.audit} empty="No record yet." isOfOneNamespace />
          </Panel>
          <div class="stack">
            <NamespaceConnections known={known} />
            <Panel title="Commands">
              {known.commands.map(({ what, command }) => (
                <CopyCommand key={command} what={what} command={command} />
              ))}
              {known.commands.length === 0 && <p class="empty">Nothing can be done about it now.</p>}
            </Panel>
            <Panel title="Events" class="short-events" aside={events.isLive ? 'live' : 'connecting'}>
              <EventList
                label={`Events of ${name}`}
                events={events.buffer.events}
                arrived={events.buffer.arrived}
                empty="No event of it has arrived yet."
                isOfOneNamespace
              />
            </Panel>
          </div>
          <p class="wide as-of">
            As of <Instant at={known.at} />.
          </p>
        </div>
      )}
    </>
  );
}

/** Shown instead of a namespace that is not held, and above what was known of it before. */
function NotHeld({ name, seen }: { readonly name: string; readonly seen: string | undefined }): JSX.Element {
  return (
    <p class="refusal" role="alert">
      No client holds this namespace{seen === undefined ? '' : ' any more'}.{' '}
      {seen !== undefined && (
        <>
          What you see is of <Instant at={seen} />.{' '}
        </>
      )}
      <a href={routeHref('audit', { query: { namespace: name } })}>Its audit</a> says what happened to it.
    </p>
  );
}
