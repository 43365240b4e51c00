import { randomUUID } from 'node:crypto';
import { DEFAULT_ID } from '../../client/rpc.ts';
import type { AgentEvent } from '../../contract/events.ts';
import { type AgentSettings, agentSettings, type ClientCommandOptions, valueIn } from '../client-settings.ts';
import { addClientOptions, withClient } from '../with-client.ts';
import { type CommandContext, type DefineCommand, examples, UsageFault } from '../define-command.ts';
import type { Style } from '../output.ts';
import { printable } from '../table.ts';
import { eventPatterns, watchEvents, type WatchOptions } from '../watch-events.ts';

/** Prints agent events as they happen. */
export const watchCommand: DefineCommand = (command, context) => {
  addClientOptions(
    command
      .option('--namespace <namespace...>', 'only events about these namespaces')
      .option(
        '--type <type...>',
        'only events of these types, such as namespace.claimed; queue stands for all types about queues',
      )
      .option('--through <namespace>', 'claim this namespace and use its credentials'),
  )
    .description(
      `Prints agent events as they happen, until Ctrl-C. Every claimed account may read them: give a namespace of yours with --through. Without it, set RABBITMQ_URL to an account that may read exchanges and declare queues.`,
    )
    .addHelpText(
      'after',
      examples([
        [
          'all events about one namespace',
          'pulse-agent watch --through taskcluster-builds --namespace taskcluster-builds',
        ],
        [
          'overgrown queues and expired namespaces, as an operator',
          'RABBITMQ_URL=amqp://… pulse-agent watch --type queue namespace.expired',
        ],
        ['as JSON', 'pulse-agent watch --through taskcluster-builds --json | jq .type'],
      ]),
    )
    .action(async ({ namespace = [], type = [], through, ...options }) => {
      const patterns = eventPatterns(type, namespace);
      if (through === undefined) await watchAsOperator(context, options, patterns);
      else await watchThrough(context, options, patterns, through);
    });
};

async function watchAsOperator(
  context: CommandContext,
  options: ClientCommandOptions,
  patterns: readonly string[],
): Promise<void> {
  const given = valueIn(context.env, 'RABBITMQ_URL');
  const settings = await agentSettings(context.env, options, given === undefined ? NO_ACCOUNT : undefined);
  const url = given ?? settings.config?.rabbitmqUrl.reveal();
  if (url === undefined) throw new UsageFault(`${NO_ACCOUNT}.`);
  await watchEvents({ ...eventPrinter(context, settings, patterns), queue: '', url: async () => url }, context.signal);
}

const NO_ACCOUNT = 'Give a namespace of yours with --through, or set RABBITMQ_URL';

async function watchThrough(
  context: CommandContext,
  options: ClientCommandOptions,
  patterns: readonly string[],
  namespace: string,
): Promise<void> {
  const { signal } = context;
  const settings = await agentSettings(context.env, options, undefined);
  await withClient(context, options, 'signed', async (client) => {
    const lease = await client.lease({ namespace }, { signal });
    const lost = new AbortController();
    lease.once('lost', (error) => lost.abort(error));
    const watchOptions = {
      ...eventPrinter(context, settings, patterns),
      queue: `queue/${namespace}/watch-${randomUUID()}`,
      url: async () => (await lease.credentials()).connectionString,
    };
    await watchEvents(watchOptions, AbortSignal.any([signal, lost.signal]));
    lost.signal.throwIfAborted();
  });
}

/** The options that both ways to connect share. */
function eventPrinter(
  { output }: CommandContext,
  { id = DEFAULT_ID, ca }: AgentSettings,
  patterns: readonly string[],
): Omit<WatchOptions, 'queue' | 'url'> {
  return {
    id,
    patterns,
    ca,
    onReady: () => output.note('Watching; press Ctrl-C to stop.'),
    onEvent: (event) => output.print(event, (style) => eventText(event, style)),
    onLost: () => output.note('The connection was lost; events may be missed until it is open again.'),
  };
}

const GOOD = new Set(['namespace.claimed', 'queue.recovered', 'agent.started', 'account.repaired']);
const BAD = new Set(['queue.deleted', 'namespace.failing', 'namespace.revoked', 'broker.alarm', 'notice.failed']);

/** An event on one line: time, type, subject, and the rest of its data. */
function eventText({ time, type, subject, data }: AgentEvent, style: Style): string {
  const format = BAD.has(type) ? 'bad' : GOOD.has(type) ? 'good' : 'heading';
  const rest = Object.entries(data)
    .filter(([, value]) => value !== subject)
    .map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`);
  const line = [printable(time), style[format](printable(type)), printable(subject)];
  return [...line, style.quiet(printable(rest.join(' ')))].join('  ').trimEnd();
}
