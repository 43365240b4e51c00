import type { ChannelModel, ConsumeMessage } from 'amqplib';
import { createCondition } from './condition.ts';

/** The messages of a dead-letter queue. */
export interface DeadLetters {
  /** Takes the first one that fits; waits for it where it has not arrived yet. */
  find(fits: (letter: ConsumeMessage) => boolean): Promise<ConsumeMessage>;
  /** Takes the next one with this correlation id. */
  of(correlationId: string): Promise<ConsumeMessage>;
  /** Those that arrived and were not taken. */
  readonly untaken: readonly ConsumeMessage[];
}

/** Consumes a dead-letter queue until the connection closes. */
export async function openDeadLetters(connection: ChannelModel, queue: string): Promise<DeadLetters> {
  const channel = await connection.createChannel();
  const untaken: ConsumeMessage[] = [];
  const condition = createCondition();
  const consume = (letter: ConsumeMessage | null): void => {
    if (letter === null) return;
    untaken.push(letter);
    condition.notify();
  };
  await channel.consume(queue, consume, { noAck: true });
  const take = (fits: (letter: ConsumeMessage) => boolean): ConsumeMessage | undefined => {
    const index = untaken.findIndex(fits);
    return index === -1 ? undefined : untaken.splice(index, 1)[0];
  };
  const find: DeadLetters['find'] = (fits) =>
    condition.wait(() => take(fits), { failure: () => 'No such dead letter arrived.' });
  return {
    find,
    of: (correlationId) => find(({ properties }) => properties.correlationId === correlationId),
    untaken,
  };
}
