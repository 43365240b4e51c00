import type { ChannelModel, ConsumeMessage } from 'amqplib';

/** What is in a dead-letter queue. */
export interface DeadLetters {
  /** Waits for the first one, taken or to come, that fits, and takes it. */
  find(fits: (letter: ConsumeMessage) => boolean): Promise<ConsumeMessage>;
  /** The next one with this correlation id. */
  of(correlationId: string): Promise<ConsumeMessage>;
  /** Those that have come and were not taken. */
  readonly untaken: readonly ConsumeMessage[];
}

const PATIENCE_MS = 60_000;

/** Empties a dead-letter queue, and keeps doing so until the connection closes. */
export async function openDeadLetters(connection: ChannelModel, queue: string): Promise<DeadLetters> {
  const channel = await connection.createChannel();
  const untaken: ConsumeMessage[] = [];
  const waiting = new Set<(letter: ConsumeMessage) => boolean>();
  await channel.consume(
    queue,
    (letter) => {
      if (letter !== null && ![...waiting].some((take) => take(letter))) untaken.push(letter);
    },
    { noAck: true },
  );
  const find = async (fits: (letter: ConsumeMessage) => boolean): Promise<ConsumeMessage> => {
    const there = untaken.findIndex(fits);
    const [letter] = there < 0 ? [] : untaken.splice(there, 1);
    if (letter !== undefined) return letter;
    return await new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        waiting.delete(take);
        reject(new Error(`No such dead letter came in ${PATIENCE_MS} ms.`));
      }, PATIENCE_MS);
      const take = (came: ConsumeMessage): boolean => {
        if (!fits(came)) return false;
        clearTimeout(timer);
        waiting.delete(take);
        resolve(came);
        return true;
      };
      waiting.add(take);
    });
  };
  return {
    find,
    of: (correlationId) => find(({ properties }) => properties.correlationId === correlationId),
    untaken,
  };
}
