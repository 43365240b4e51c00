import type { Namespace } from '../client/client.ts';
import type { Style } from './output.ts';
import { type Column, table } from './table.ts';

/** A table of namespaces. */
export function namespaceTable(namespaces: readonly Namespace[], style: Style): string {
  const columns: Column<Namespace>[] = [
    { title: 'NAMESPACE', text: ({ namespace }) => namespace },
    {
      title: 'STATE',
      text: ({ state }) => state,
      style: (cell, { state }) => (state === 'active' ? style.good(cell) : style.doubtful(cell)),
    },
    { title: 'CREATED', text: ({ created }) => created },
    { title: 'EXPIRES', text: ({ expires }) => expires },
  ];
  if (namespaces.some(({ blockedBy }) => blockedBy !== undefined)) {
    columns.push({ title: 'WAITS, BECAUSE', text: ({ blockedBy = '' }) => blockedBy });
  }
  return table(namespaces, columns, style);
}
