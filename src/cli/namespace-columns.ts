import type { Namespace } from '../client/client.ts';
import { parseInstant } from '../contract/fields.ts';
import { instantToSecond } from './amounts.ts';
import { UsageFault } from './define-command.ts';
import type { Style } from './output.ts';
import { type Column, printable, table } from './table.ts';

/** What a column shows where nothing is known. */
const UNKNOWN = '-';

interface NamespaceColumn extends Column<Namespace> {
  /** As in `--columns` and `--sort`, and as the field of the contract is called. */
  readonly name: string;
  /** By which to sort; undefined, where it is unknown, comes last. */
  readonly key: (namespace: Namespace) => string | number | undefined;
  /** Whether the largest come first. */
  readonly isDescending?: boolean;
}

function textColumn(name: string, title: string, read: (namespace: Namespace) => string | undefined): NamespaceColumn {
  return { name, title, text: (namespace) => read(namespace) ?? UNKNOWN, key: read };
}

function instantColumn(name: string, title: string, read: (one: Namespace) => string | undefined): NamespaceColumn {
  const instantOf = (namespace: Namespace): number | undefined => {
    const text = read(namespace);
    return text === undefined ? undefined : parseInstant(text);
  };
  const text = (namespace: Namespace): string => {
    const ms = instantOf(namespace);
    return ms === undefined ? UNKNOWN : instantToSecond(ms);
  };
  return { name, title, text, key: instantOf };
}

function amountColumn(name: string, title: string, read: (one: Namespace) => number | undefined): NamespaceColumn {
  return { name, title, text: (one) => String(read(one) ?? UNKNOWN), key: read, isDescending: true };
}

/** A sum without the queues whose depth is unknown is the least that there is. */
function messagesText({ details }: Namespace): string {
  const { messages, uncountedQueues = 0 } = details?.counts ?? {};
  if (messages === undefined) return UNKNOWN;
  return uncountedQueues > 0 ? `≥ ${messages}` : String(messages);
}

const COLUMNS: readonly NamespaceColumn[] = [
  textColumn('namespace', 'NAMESPACE', ({ namespace }) => namespace),
  textColumn('state', 'STATE', ({ state }) => state),
  textColumn('holder', 'HOLDER', ({ details }) => details?.holder),
  instantColumn('lastClaim', 'LAST CLAIM', ({ details }) => details?.lastClaim),
  instantColumn('created', 'CREATED', ({ created }) => created),
  instantColumn('expires', 'EXPIRES', ({ expires }) => expires),
  instantColumn('nextRotation', 'NEXT ROTATION', ({ details }) => details?.nextRotation),
  amountColumn('queues', 'QUEUES', ({ details }) => details?.counts?.queues),
  {
    ...amountColumn('messages', 'MESSAGES', ({ details }) => details?.counts?.messages),
    text: messagesText,
  },
  amountColumn('connections', 'CONNECTIONS', ({ details }) => details?.counts?.connections),
  instantColumn('countedAt', 'COUNTED AT', ({ details }) => details?.counts?.at),
  {
    ...textColumn('blockedBy', 'WAITS, BECAUSE', ({ blockedBy }) => blockedBy),
    text: ({ blockedBy = '' }) => blockedBy,
  },
];

/** The names of all columns. */
export const COLUMN_NAMES: readonly string[] = COLUMNS.map(({ name }) => name);

/** What is shown without details, and with them. */
const PUBLIC_COLUMNS = ['namespace', 'state', 'created', 'expires'];
const DETAILED_COLUMNS = [
  'namespace',
  'state',
  'holder',
  'lastClaim',
  'expires',
  'nextRotation',
  'queues',
  'messages',
  'connections',
];

/**
 * The columns of these names, with commas between.
 *
 * @throws UsageFault
 */
export function columnsOf(names: string): string[] {
  return names.split(',').map((name) => columnOf('--columns', name.trim()).name);
}

/** The columns that are shown unless others are wanted. */
export function defaultColumns(namespaces: readonly Namespace[], areDetailsWanted: boolean): string[] {
  const columns = areDetailsWanted ? DETAILED_COLUMNS : PUBLIC_COLUMNS;
  return namespaces.some(({ blockedBy }) => blockedBy !== undefined) ? [...columns, 'blockedBy'] : [...columns];
}

/** @throws UsageFault */
export function checkedColumn(option: string, name: string): string {
  return columnOf(option, name).name;
}

function columnOf(option: string, name: string): NamespaceColumn {
  const column = COLUMNS.find((one) => one.name.toLowerCase() === name.toLowerCase());
  if (column !== undefined) return column;
  throw new UsageFault(`There is no column ${name}: give ${option} as one of ${COLUMN_NAMES.join(', ')}.`);
}

/** Sorted by a column: numbers from the largest, everything else in ascending order; what is unknown comes last. */
export function sortNamespaces(namespaces: readonly Namespace[], by: string, isReverse: boolean): Namespace[] {
  const { key, isDescending = false } = columnOf('--sort', by);
  const sign = isDescending === isReverse ? 1 : -1;
  return namespaces.toSorted((one, other) => {
    const [a, b] = [key(one), key(other)];
    if (a === b) return 0;
    if (a === undefined || b === undefined) return a === undefined ? 1 : -1;
    return a < b ? -sign : sign;
  });
}

/** A table of namespaces. */
export function namespacesTable(namespaces: readonly Namespace[], names: readonly string[], style: Style): string {
  const columns = names.map((name): Column<Namespace> => {
    const column = columnOf('--columns', name);
    return name === 'state' ? { ...column, style: (cell, row) => stateStyle(row, style)(cell) } : column;
  });
  return table(namespaces, columns, style);
}

/** One namespace, a line for each column. */
export function namespaceText(namespace: Namespace, areDetailsWanted: boolean, style: Style): string {
  const hidden = new Set([
    'namespace',
    ...(areDetailsWanted ? [] : DETAILED_COLUMNS.filter((name) => !PUBLIC_COLUMNS.includes(name))),
  ]);
  const lines = COLUMNS.filter(({ name, key }) => {
    if (name === 'blockedBy' || name === 'countedAt') return key(namespace) !== undefined;
    return !hidden.has(name);
  }).map((column) => [column.title.toLowerCase(), printable(column.text(namespace)), column.name] as const);
  const width = Math.max(...lines.map(([title]) => title.length));
  const [first] = COLUMNS;
  return [
    style.heading(printable(first?.text(namespace) ?? '')),
    ...lines.map(([title, text, name]) => {
      const shown = name === 'state' ? stateStyle(namespace, style)(text) : text;
      return `  ${title.padEnd(width)}  ${shown}`;
    }),
  ].join('\n');
}

function stateStyle({ state }: Namespace, style: Style): (text: string) => string {
  return state === 'active' ? style.good : style.doubtful;
}

/** What differs in the columns between two views of one namespace: `messages 5 → 7, connections 1 → 2`. */
export function differenceText(before: Namespace, after: Namespace, names: readonly string[]): string {
  return names
    .map((name) => columnOf('--columns', name))
    .flatMap(({ title, text }) => {
      const [was, is] = [text(before), text(after)];
      return was === is ? [] : [printable(`${title.toLowerCase()} ${was} → ${is}`)];
    })
    .join(', ');
}
