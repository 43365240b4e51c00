import type { NamespaceDescription } from '../client/client.ts';
import type { ClientCommandOptions } from './client-settings.ts';
import type { CommandContext } from './define-command.ts';
import { namespaceChanges, namespaceStatusText } from './namespace-status-text.ts';
import { createQueueTrends } from './queue-trends.ts';
import { watchValue } from './watch-values.ts';
import { withClient } from './with-client.ts';

/**
 * Asks an agent about a namespace, and shows the answer; with an interval again and again.
 *
 * @throws UsageFault when a variable is missing; PulseAgentError
 */
export async function showNamespaceStatus(
  context: CommandContext,
  namespace: string,
  options: ClientCommandOptions,
  intervalMs: number | undefined,
): Promise<void> {
  const { output, signal } = context;
  await withClient(context, options, 'signed', async (client) => {
    const trends = createQueueTrends();
    const read = async (until: AbortSignal): Promise<NamespaceDescription> => {
      const description = await client.describeNamespace(namespace, { signal: until });
      trends.add(description);
      return description;
    };
    if (intervalMs !== undefined) {
      await watchValue(context, {
        intervalMs,
        read,
        text: (description, style) => namespaceStatusText(description, trends, style),
        // With `--json` the whole each time.
        changes: (before, description) =>
          output.json ? [{ value: description, text: () => '' }] : namespaceChanges(before, description),
      });
      return;
    }
    const description = await read(signal);
    output.print(description, (style) => namespaceStatusText(description, trends, style));
    if (description.queues?.some(isRateUnknown) === true) {
      output.note('Growth is known from two observations: ask again in 10 s, or watch it with --watch.');
    }
  });
}

type DescribedQueue = NonNullable<NamespaceDescription['queues']>[number];

function isRateUnknown({ messages, messagesPerMinute }: DescribedQueue): boolean {
  return messages !== undefined && messagesPerMinute === undefined;
}
