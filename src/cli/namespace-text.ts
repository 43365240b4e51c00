import type { Namespace } from '../client/client.ts';
import type { Style } from './output.ts';
import type { Column } from './table.ts';

/** The columns of a table of namespaces. */
export function namespaceColumns({ good, doubtful }: Style): readonly Column<Namespace>[] {
  return [
    { title: 'NAMESPACE', text: ({ namespace }) => namespace },
    {
      title: 'STATE',
      text: ({ state }) => state,
      style: (cell, { state }) => (state === 'active' ? good(cell) : doubtful(cell)),
    },
    { title: 'CREATED', text: ({ created }) => created },
    { title: 'EXPIRES', text: ({ expires }) => expires },
  ];
}
