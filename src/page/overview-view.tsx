import type { JSX } from 'preact';
import type { AuditAnswer, OverviewAnswer, PlanAnswer, QueueRow, QueuesAnswer } from '../operator-api/schemas.ts';
import { AgentTable } from './agent-table.tsx';
import { AuditList } from './audit-list.tsx';
import { DataTable, unsortable } from './data-table.tsx';
import { Findings } from './findings.tsx';
import { NowTiles } from './now-tiles.tsx';
import { Awaited, RefusalNote, Panel } from './page-parts.tsx';
import { PlanBand } from './plan-band.tsx';
import { routeHref } from './page-routes.ts';
import { PlanList } from './plan-list.tsx';
import { queueColumns } from './queue-columns.tsx';
import { useAnswer } from './use-answer.ts';

const SHOWN_STEPS = 12;
/** What the view of queues has and a glance does not need. */
const LEFT_OUT = ['ready', 'unacknowledged', 'consumers'];

interface OverviewViewProps {
  readonly overview: OverviewAnswer | undefined;
  readonly failure: Error | undefined;
}

/** Whether all is well, what is next, and which queues grow. */
export function OverviewView({ overview, failure }: OverviewViewProps): JSX.Element {
  const plan = useAnswer<PlanAnswer>('plan', { hours: 12 }, 15_000);
  const queues = useAnswer<QueuesAnswer>('queues', { sort: 'next', limit: 8 });
  const audit = useAnswer<AuditAnswer>('audit', { limit: 10 });
  if (overview === undefined) return <Awaited failure={failure} />;
  const columns = unsortable(queueColumns(queues.data?.trendAt ?? []).filter(({ key }) => !LEFT_OUT.includes(key)));
  return (
    <div class="panels overview">
      <RefusalNote failure={failure} />
      <div class="stack">
        {overview.findings.length > 0 && (
          <Panel title="Needs attention" class="attention">
            <Findings findings={overview.findings} />
          </Panel>
        )}
        <Panel title="Now">
          <NowTiles overview={overview} />
        </Panel>
        <Panel title="Agents" aside={<a href={routeHref('health')}>health</a>}>
          <AgentTable agents={overview.agents} answering={overview.agent.instance} />
        </Panel>
      </div>
      <Panel title="Next 12 hours">
        {plan.data === undefined ? (
          <Awaited failure={plan.failure} />
        ) : (
          <>
            <PlanBand plan={plan.data} />
            <PlanList steps={plan.data.steps} most={SHOWN_STEPS} empty="Nothing is planned." />
          </>
        )}
      </Panel>
      <Panel title="Queues to watch" class="wide" aside={<a href={routeHref('queues')}>all queues</a>}>
        {queues.data === undefined ? (
          <Awaited failure={queues.failure} />
        ) : (
          <DataTable<QueueRow>
            label="Queues that reach a threshold next"
            columns={columns}
            rows={queues.data.items}
            rowKey={({ queue }) => queue}
            empty="No namespace has a queue yet."
          />
        )}
      </Panel>
      <Panel title="Latest decisions" class="wide" aside={<a href={routeHref('audit')}>whole audit</a>}>
        {audit.data === undefined ? (
          <Awaited failure={audit.failure} />
        ) : (
          <AuditList records={audit.data.items} empty="Nothing was decided yet." />
        )}
      </Panel>
    </div>
  );
}
