import { keepConnection } from './kept-connection.ts';
import type { RunContext } from './run-context.ts';
import type { SecretScan } from './secret-scan.ts';

/** Counts what the agents say that they did, and reports secrets in their events. */
export async function watchAgentEvents(context: RunContext, scan: SecretScan, signal: AbortSignal): Promise<void> {
  const { world, figures, journal } = context;
  await keepConnection(
    world.adminUrl,
    async (connection) => {
      const channel = await connection.createChannel();
      // The exchange is there only when an agent has started.
      await channel.checkExchange(world.names.eventsExchange);
      const { queue } = await channel.assertQueue('', { exclusive: true });
      await channel.bindQueue(queue, world.names.eventsExchange, '#');
      await channel.consume(
        queue,
        (message) => {
          if (message === null) return;
          const text = message.content.toString();
          scan.check(text, 'an agent event');
          const { type } = JSON.parse(text) as { readonly type: string };
          figures.count(`events: ${type}`);
          if (type === 'account.repaired' || type === 'notice.failed' || type === 'namespace.refused') {
            journal.note(`event ${text}`);
          }
        },
        { noAck: true },
      );
    },
    signal,
  );
}
