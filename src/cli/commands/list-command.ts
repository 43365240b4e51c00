import type { Namespace, PulseAgentClient, ReadOptions } from '../../client/client.ts';
import { formatInstant } from '../../contract/fields.ts';
import { instantToSecond } from '../amounts.ts';
import { type CommandContext, type DefineCommand, examples, UsageFault } from '../define-command.ts';
import {
  checkedColumn,
  COLUMN_NAMES,
  columnsOf,
  defaultColumns,
  differenceText,
  namespacesTable,
  sortNamespaces,
} from '../namespace-columns.ts';
import type { Style } from '../output.ts';
import { type NamespacesRead, readNamespacesFor } from '../read-details.ts';
import { type ValueChange, WATCH_FLAG, watchIntervalMs, watchValue } from '../watch-values.ts';
import { addClientOptions, withClient } from '../with-client.ts';

const PAGE_SIZE = 1000;
const STATES = ['provisioning', 'active', 'expiring'];

/** Lists namespaces. */
export const listCommand: DefineCommand = (command, context) => {
  const { output, signal } = context;
  addClientOptions(
    command
      .option('--holder <clientId>', 'only namespaces that this client holds; a * at the end stands for any end')
      .option('--state <state...>', `only namespaces in these states: ${STATES.join(', ')}`)
      .option('--columns <names>', `the columns of the table, with commas between: ${COLUMN_NAMES.join(', ')}`)
      .option('--sort <column>', 'the column by which to sort: numbers from the largest, instants from the earliest')
      .option('--reverse', 'the other way round')
      .option(WATCH_FLAG, 'list again at this interval, until Ctrl-C (default: 5s)'),
  )
    .description(
      `Lists all namespaces; with --json one a line. A client with the scope pulse:describe:<namespace> or pulse:namespace:<namespace> also sees who holds it, the last claim, the next rotation, and how many queues, messages and connections it has; "-" is unknown.

With --watch a terminal shows the present list. Elsewhere it is printed once, and then what changes.`,
    )
    .addHelpText(
      'after',
      examples([
        ['as a table', 'pulse-agent list'],
        ['only the names', 'pulse-agent list --json | jq -r .namespace'],
        ['which have most messages', 'pulse-agent list --sort messages'],
        ['what a team holds, as it changes', "pulse-agent list --holder 'project/builds/*' --watch"],
        ['what expires next', 'pulse-agent list --columns namespace,expires,holder --sort expires'],
      ]),
    )
    .action(async ({ holder, state, columns, sort, reverse, watch, ...options }) => {
      const selection = selectionOf({ holder, state, columns, sort, reverse });
      const intervalMs = watchIntervalMs(watch);
      await withClient(context, options, 'if-possible', async (client, signer) => {
        if (holder !== undefined && signer === undefined) {
          throw new UsageFault('To list by --holder, set TASKCLUSTER_CLIENT_ID and TASKCLUSTER_ACCESS_TOKEN.');
        }
        // Without details no namespace would have this holder, and --watch would show that holders and counts are gone.
        let areDetailsNeeded = holder !== undefined;
        const read = async (): Promise<NamespacesRead> => {
          const found = await readNamespacesFor(client, signer, signal, readAll, areDetailsNeeded);
          areDetailsNeeded ||= found.isSigned;
          return selected(found, selection);
        };
        if (intervalMs === undefined) printOnce(await read(), selection, output);
        else await watchList(context, intervalMs, read, selection);
      });
    });
};

/** Which namespaces to show, and how. */
interface Selection {
  readonly isWanted: (namespace: Namespace) => boolean;
  readonly columns: readonly string[] | undefined;
  readonly sort: string | undefined;
  readonly isReverse: boolean;
}

function selectionOf(options: {
  readonly holder: string | undefined;
  readonly state: string[] | undefined;
  readonly columns: string | undefined;
  readonly sort: string | undefined;
  readonly reverse: true | undefined;
}): Selection {
  const { holder, state, columns, sort, reverse } = options;
  const wrong = state?.find((one) => !STATES.includes(one));
  if (wrong !== undefined) throw new UsageFault(`There is no state ${wrong}: give --state as ${STATES.join(', ')}.`);
  const start = holder?.endsWith('*') === true ? holder.slice(0, -1) : undefined;
  return {
    isWanted: ({ details, state: its }) => {
      if (state !== undefined && !state.includes(its)) return false;
      if (holder === undefined) return true;
      return start === undefined ? details?.holder === holder : details?.holder.startsWith(start) === true;
    },
    columns: columns === undefined ? undefined : columnsOf(columns),
    sort: sort === undefined ? undefined : checkedColumn('--sort', sort),
    isReverse: reverse === true,
  };
}

async function readAll(client: PulseAgentClient, options: ReadOptions): Promise<Namespace[]> {
  const namespaces: Namespace[] = [];
  for await (const namespace of client.listNamespaces({ ...options, pageSize: PAGE_SIZE })) namespaces.push(namespace);
  return namespaces;
}

function selected(read: NamespacesRead, { isWanted, sort, isReverse }: Selection): NamespacesRead {
  const namespaces = read.namespaces.filter(isWanted);
  // An agent lists by name.
  if (sort !== undefined) return { ...read, namespaces: sortNamespaces(namespaces, sort, isReverse) };
  return { ...read, namespaces: isReverse ? namespaces.toReversed() : namespaces };
}

function printOnce(read: NamespacesRead, selection: Selection, output: CommandContext['output']): void {
  if (output.json) for (const namespace of read.namespaces) output.print(namespace, () => '');
  else output.print(read, (style) => listText(read, selection, style));
  if (read.missing !== undefined) output.note(read.missing);
}

function listText({ namespaces, isSigned }: NamespacesRead, { columns }: Selection, style: Style): string {
  if (namespaces.length === 0) return 'There are no namespaces to show.';
  const shown = columns ?? defaultColumns(namespaces, isSigned);
  // Pages may be of two counts: the earlier one.
  const [countedAt] = namespaces.flatMap(({ details }) => details?.counts?.at ?? []).toSorted();
  const rows = namespacesTable(namespaces, shown, style);
  if (countedAt === undefined || columns !== undefined) return rows;
  return `${rows}\n\n${style.quiet(`Counted at ${instantToSecond(Date.parse(countedAt))}.`)}`;
}

async function watchList(
  context: CommandContext,
  intervalMs: number,
  read: () => Promise<NamespacesRead>,
  selection: Selection,
): Promise<void> {
  await watchValue(context, {
    intervalMs,
    read,
    text: (value, style) => {
      const text = listText(value, selection, style);
      return value.missing === undefined ? text : `${text}\n\n${style.doubtful(value.missing)}`;
    },
    changes: (before, value) => changesOf(before, value, selection),
  });
}

function changesOf(before: NamespacesRead | undefined, now: NamespacesRead, { columns }: Selection): ValueChange[] {
  const at = formatInstant(Date.now());
  const names = (columns ?? defaultColumns(now.namespaces, now.isSigned)).filter((name) => name !== 'countedAt');
  const left = new Map(before?.namespaces.map((one) => [one.namespace, one]));
  const changes: ValueChange[] = [];
  for (const one of now.namespaces) {
    const { namespace } = one;
    const was = left.get(namespace);
    left.delete(namespace);
    if (was === undefined) {
      changes.push({ value: one, text: (style) => `${at}  ${style.good(namespace)}  listed` });
      continue;
    }
    const difference = differenceText(was, one, names);
    if (difference !== '')
      changes.push({ value: one, text: (style) => `${at}  ${style.heading(namespace)}  ${difference}` });
  }
  for (const namespace of left.keys()) {
    const value = { namespace, listed: false };
    changes.push({ value, text: (style) => `${at}  ${style.doubtful(namespace)}  no longer listed` });
  }
  return changes;
}
