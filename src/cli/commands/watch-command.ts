import { randomUUID } from 'node:crypto';
import { environmentValue } from '../../config/environment.ts';
import type { AgentEvent } from '../../contract/events.ts';
import { addClientOptions, type ClientCommandOptions, withClient } from '../with-client.ts';
import { type CommandContext, type DefineCommand, examples, UsageFault } from '../command.ts';
import type { Style } from '../output.ts';
import { printable } from '../table.ts';
import { eventPatterns, type Watched, watchEvents } from '../watch-events.ts';

/** Shows agent events as they come. */
export const watchCommand: DefineCommand = (command, context) => {
  addClientOptions(
    command
      .option('--namespace <namespace...>', 'only events about these')
      .option(
        '--type <type...>',
        'only events of these types, such as namespace.claimed, or queue for all about queues',
      )
      .option('--through <namespace>', 'claim this namespace, and read with its credentials'),
  )
    .description(
      `Shows what agents do, as it happens, until Ctrl-C. Every claimed account may read the events: give a namespace of yours with --through. Without it, RABBITMQ_URL is used, with an account that may read exchanges and make queues.`,
    )
    .addHelpText(
      'after',
      examples([
        ['all about one namespace', 'pulse-agent watch --through taskcluster-builds --namespace taskcluster-builds'],
        [
          'queues that grow, and what is deleted',
          'RABBITMQ_URL=amqp://… pulse-agent watch --type queue namespace.expired',
        ],
        ['for programs', 'pulse-agent watch --through taskcluster-builds --json | jq .type'],
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
  const faults: string[] = [];
  const url = environmentValue(context.env, 'RABBITMQ_URL', faults);
  const ca = environmentValue(context.env, 'RABBITMQ_CA', faults);
  if (faults.length > 0) throw new UsageFault(faults.join(' '));
  if (!url) throw new UsageFault('Give a namespace of yours with --through, or set RABBITMQ_URL.');
  const watched = { ...telling(context, options, patterns), queue: '', url: async () => url, ca };
  await watchEvents(watched, context.signal);
}

async function watchThrough(
  context: CommandContext,
  options: ClientCommandOptions,
  patterns: readonly string[],
  namespace: string,
): Promise<void> {
  const { signal } = context;
  await withClient(context, options, 'signed', async (client) => {
    const lease = await client.lease({ namespace }, { signal });
    const lost = new AbortController();
    lease.once('lost', (error) => lost.abort(error));
    const watched = {
      ...telling(context, options, patterns),
      queue: `queue/${namespace}/watch-${randomUUID()}`,
      url: async () => (await lease.credentials()).connectionString,
    };
    await watchEvents(watched, AbortSignal.any([signal, lost.signal]));
    lost.signal.throwIfAborted();
  });
}

function telling(
  { output, env }: CommandContext,
  { id = env['PULSE_AGENT_ID'] ?? 'pulse-agent' }: ClientCommandOptions,
  patterns: readonly string[],
): Omit<Watched, 'queue' | 'url' | 'ca'> {
  return {
    id,
    patterns,
    onReady: () => output.note('Watching; Ctrl-C ends it.'),
    onEvent: (event) => output.print(event, (style) => eventText(event, style)),
    onLost: () => output.note('The connection was lost, and the events since then; connecting again.'),
  };
}

const GOOD = new Set(['namespace.claimed', 'queue.recovered', 'agent.started', 'account.repaired']);
const BAD = new Set(['queue.deleted', 'namespace.failing', 'namespace.revoked', 'broker.alarm', 'notice.failed']);

/** An event on one line: when, what, about what, and the rest of its data. */
function eventText({ time, type, subject, data }: AgentEvent, style: Style): string {
  const look = BAD.has(type) ? 'bad' : GOOD.has(type) ? 'good' : 'heading';
  const rest = Object.entries(data)
    .filter(([, value]) => value !== subject)
    .map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`);
  const line = [printable(time), style[look](printable(type)), printable(subject)];
  return [...line, style.quiet(printable(rest.join(' ')))].join('  ').trimEnd();
}
