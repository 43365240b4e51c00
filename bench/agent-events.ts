import { connect } from 'amqplib';
import { contractNames } from '../src/contract/names.ts';
import type { Site } from './site.ts';

/** Counts the agent events of one type. */
export interface EventCounter {
  /** Resolves when this many have arrived, with the time of the last one, in ms of `performance.now()`. */
  until(count: number): Promise<number>;
  close(): Promise<void>;
}

/** Starts to count; an agent must have declared the exchange of events before. */
export async function countEvents({ amqpUrl, names }: Site, type: string): Promise<EventCounter> {
  const connection = await connect(amqpUrl);
  const channel = await connection.createChannel();
  const { queue } = await channel.assertQueue('', { exclusive: true });
  await channel.bindQueue(queue, contractNames(names.id).eventsExchange, `${type}.*`);
  let arrived = 0;
  let expected: { readonly count: number; readonly resolve: (atMs: number) => void } | undefined;
  const check = (): void => {
    if (expected !== undefined && arrived >= expected.count) expected.resolve(performance.now());
  };
  await channel.consume(
    queue,
    () => {
      arrived += 1;
      check();
    },
    { noAck: true },
  );
  return {
    until: (count) =>
      new Promise((resolve) => {
        expected = { count, resolve };
        check();
      }),
    close: () => connection.close(),
  };
}
