import type { JSX } from 'preact';
import type { PartView } from '../operator-api/schemas.ts';
import { type TableColumn, DataTable } from './data-table.tsx';
import { Lasting } from './instant.tsx';
import { UNKNOWN } from './page-formats.ts';
import { Name } from './page-parts.tsx';
import { StateMark } from './state-mark.tsx';

interface PartRow {
  readonly part: string;
  readonly isRequired: boolean;
  /** By the instance of the agent. */
  readonly states: ReadonlyMap<string, PartView>;
}

interface PartMatrixProps {
  readonly agents: readonly { readonly instance: string; readonly parts: readonly PartView[] }[];
}

/** The parts of all agents, a column an agent. Parts that are not up come first: they are why one looks. */
export function PartMatrix({ agents }: PartMatrixProps): JSX.Element {
  const rows = new Map<string, PartRow>();
  for (const { instance, parts } of agents) {
    for (const view of parts) {
      const { part, isRequired } = view;
      const known = rows.get(part)?.states ?? new Map<string, PartView>();
      rows.set(part, { part, isRequired, states: new Map([...known, [instance, view]]) });
    }
  }
  const columns: TableColumn<PartRow>[] = [
    {
      key: 'part',
      title: 'Part',
      kind: 'name',
      cell: ({ part, isRequired }) => (
        <>
          {part} {!isRequired && <small>not required</small>}
        </>
      ),
    },
    ...agents.map(
      ({ instance }): TableColumn<PartRow> => ({
        key: instance,
        title: instance,
        cell: ({ states }) => <PartState view={states.get(instance)} />,
      }),
    ),
  ];
  const isUp = ({ states }: PartRow): boolean => [...states.values()].every(({ state }) => state === 'up');
  return (
    <DataTable<PartRow>
      label="Parts of the agents"
      columns={columns}
      rows={[...rows.values()].toSorted((a, b) => Number(isUp(a)) - Number(isUp(b)))}
      rowKey={({ part }) => part}
      empty="No part is watched yet."
    />
  );
}

function PartState({ view }: { readonly view: PartView | undefined }): JSX.Element {
  if (view === undefined) return <>{UNKNOWN}</>;
  const { state, since, reason } = view;
  return (
    <>
      <StateMark state={state} />{' '}
      <small>
        <Lasting since={since} />
      </small>
      {reason !== undefined && (
        <small class="why">
          <Name>{reason}</Name>
        </small>
      )}
    </>
  );
}
