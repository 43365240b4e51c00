import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import type { HealthAnswer, JobView, OverviewAnswer } from '../operator-api/schemas.ts';
import { AgentTable } from './agent-table.tsx';
import { type TableColumn, DataTable } from './data-table.tsx';
import { Findings } from './findings.tsx';
import { Distance, Due, Instant } from './instant.tsx';
import { PartMatrix } from './part-matrix.tsx';
import { secondsText, spanText, UNKNOWN } from './page-formats.ts';
import { Awaited, RefusalNote, Facts, Name, Panel } from './page-parts.tsx';
import { StateMark, ToneShape } from './state-mark.tsx';
import { useAnswer } from './use-answer.ts';
import { SearchField } from './view-controls.tsx';

type Setting = NonNullable<HealthAnswer['settings']>[number];

/** The parts of the agents, their jobs and settings. */
export function HealthView({ overview }: { readonly overview: OverviewAnswer | undefined }): JSX.Element {
  const { data, failure } = useAnswer<HealthAnswer>('health');
  if (data === undefined) return <Awaited failure={failure} />;
  const { agent, agents, parts, jobs, risks, settings, uptimeSeconds, node, at } = data;
  const others = (agents ?? []).filter(({ instance, state }) => instance !== agent.instance && state !== 'replaced');
  const columns = [{ instance: agent.instance, parts }, ...others];
  return (
    <div class="panels">
      <RefusalNote failure={failure} />
      {overview !== undefined && overview.findings.length > 0 && (
        <Panel title="Needs attention" class="wide attention">
          <Findings findings={overview.findings} />
        </Panel>
      )}
      <Panel title="Agents">
        <AgentTable agents={agents} answering={agent.instance} />
      </Panel>
      <Panel title="This agent and RabbitMQ">
        <Facts
          facts={[
            ['Instance', <Name>{agent.instance}</Name>],
            ['Id', <Name>{agent.id}</Name>],
            ['Version', `${agent.version}, Node ${node}`],
            ['Runs for', spanText(uptimeSeconds * 1000)],
            ...brokerFacts(overview),
          ]}
        />
      </Panel>
      <Panel title="Parts" class="wide">
        <PartMatrix agents={columns} />
      </Panel>
      <Panel title="Jobs" class="wide">
        <Jobs jobs={jobs} />
      </Panel>
      {risks.length > 0 && (
        <Panel title="Risky choices" class="wide">
          <ul class="findings">
            {risks.map(({ choice, sentence }) => (
              <li key={choice} class="degraded">
                <ToneShape tone="warn" shape="triangle" />
                <span>
                  <strong>{choice}</strong> {sentence}
                </span>
              </li>
            ))}
          </ul>
        </Panel>
      )}
      {settings !== undefined && <Settings settings={settings} />}
      <p class="wide as-of">
        As of <Instant at={at} />.
      </p>
    </div>
  );
}

function brokerFacts(overview: OverviewAnswer | undefined): (readonly [string, string | JSX.Element])[] {
  if (overview === undefined) return [];
  const { broker, store } = overview;
  const { version = UNKNOWN, cluster, state, running, missing = [], alarms = [] } = broker;
  return [
    ['RabbitMQ', `${version}${cluster === undefined ? '' : `, ${cluster}`}`],
    ['Cluster', <StateMark state={state} />],
    ...(running === undefined ? [] : [['Nodes', <Name>{running.join(', ')}</Name>] as const]),
    ...(missing.length === 0 ? [] : [['Nodes missing', <Name>{missing.join(', ')}</Name>] as const]),
    ...(alarms.length === 0
      ? []
      : [['Alarms', alarms.map(({ alarm, node }) => `${alarm} on ${node}`).join(', ')] as const]),
    [
      'Store',
      <StateMark
        state={store.answers ? 'up' : 'down'}
        label={`${store.kind}${store.answers ? '' : ' does not answer'}`}
      />,
    ],
  ];
}

const JOB_COLUMNS: readonly TableColumn<JobView>[] = [
  { key: 'job', title: 'Job', kind: 'name', cell: ({ job }) => job },
  {
    key: 'outcome',
    title: 'Latest run',
    cell: ({ outcome, isLate, error }) => (
      <>
        <StateMark state={isLate ? 'late' : (outcome ?? 'unknown')} />
        {outcome === 'failed' && <small> {error}</small>}
      </>
    ),
  },
  { key: 'seconds', title: 'Took', kind: 'number', cell: ({ seconds }) => secondsText(seconds) },
  { key: 'succeeded', title: 'Succeeded', cell: ({ succeeded }) => <Distance at={succeeded} /> },
  { key: 'failed', title: 'Failed', cell: ({ failed }) => <Distance at={failed} /> },
  { key: 'every', title: 'Every', kind: 'number', cell: ({ everySeconds }) => spanText(everySeconds * 1000) },
  { key: 'due', title: 'Next by', cell: ({ dueBy }) => <Due at={dueBy} /> },
  { key: 'by', title: 'On', cell: ({ by }) => (by === undefined ? UNKNOWN : <Name>{by}</Name>) },
];

function Jobs({ jobs }: { readonly jobs: HealthAnswer['jobs'] | undefined }): JSX.Element {
  if (jobs === undefined) return <p class="empty">The store does not answer.</p>;
  return (
    <DataTable<JobView>
      label="Recurring jobs"
      columns={JOB_COLUMNS}
      rows={jobs}
      rowKey={({ job }) => job}
      empty="No job has run."
    />
  );
}

const SETTING_COLUMNS: readonly TableColumn<Setting>[] = [
  { key: 'name', title: 'Setting', kind: 'name', cell: ({ name }) => <code>{name}</code> },
  { key: 'value', title: 'Value', cell: ({ value }) => <code>{JSON.stringify(value)}</code> },
  { key: 'from', title: 'From', cell: ({ from }) => from },
];

function Settings({ settings }: { readonly settings: readonly Setting[] }): JSX.Element {
  const [search, setSearch] = useState('');
  const shown = settings.filter(({ name, from }) => `${name} ${from}`.toLowerCase().includes(search.toLowerCase()));
  return (
    <Panel
      title="Settings in force"
      class="wide"
      aside={<SearchField label="Search settings" value={search} onSearch={setSearch} />}
    >
      <DataTable<Setting>
        label="Settings in force"
        columns={SETTING_COLUMNS}
        rows={shown}
        rowKey={({ name }) => name}
        empty="No setting matches."
      />
    </Panel>
  );
}
