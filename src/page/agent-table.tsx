import type { JSX } from 'preact';
import type { AgentRow } from '../operator-api/schemas.ts';
import { type TableColumn, DataTable } from './data-table.tsx';
import { Distance } from './instant.tsx';
import { Name } from './page-parts.tsx';
import { StateMark } from './state-mark.tsx';

interface AgentTableProps {
  /** Absent: the store does not answer. */
  readonly agents: readonly AgentRow[] | undefined;
  /** The instance of the agent that answers the page. */
  readonly answering: string;
}

/** All agents of the installation. */
export function AgentTable({ agents, answering }: AgentTableProps): JSX.Element {
  if (agents === undefined) return <p class="empty">The store does not answer: which agents run is unknown.</p>;
  const columns: TableColumn<AgentRow>[] = [
    {
      key: 'instance',
      title: 'Agent',
      kind: 'name',
      cell: ({ instance }) => (
        <>
          <Name>{instance}</Name>
          {instance === answering && <small class="why">answers this page</small>}
        </>
      ),
    },
    { key: 'state', title: 'State', cell: ({ state }) => <StateMark state={state} /> },
    { key: 'version', title: 'Version', cell: ({ version }) => version },
    { key: 'started', title: 'Started', cell: ({ started }) => <Distance at={started} /> },
    { key: 'seen', title: 'Seen', cell: ({ seen }) => <Distance at={seen} /> },
  ];
  return (
    <DataTable<AgentRow>
      label="Agents"
      columns={columns}
      rows={agents}
      rowKey={({ instance }) => instance}
      empty="No agent has a record."
    />
  );
}
