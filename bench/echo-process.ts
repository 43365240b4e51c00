import { connect } from 'amqplib';
import { untilStopped } from './processes.ts';

/** The limit for requests: consumes from a quorum queue, sends the body back, acknowledges. */
const connection = await connect(process.env['BENCH_AMQP_URL'] ?? '', { noDelay: true });
const channel = await connection.createConfirmChannel();
const queue = process.env['BENCH_QUEUE'] ?? '';
await channel.assertQueue(queue, { arguments: { 'x-queue-type': 'quorum' } });
await channel.prefetch(256);
await channel.consume(queue, (message) => {
  if (message === null) return;
  const { replyTo, correlationId } = message.properties as { replyTo: string; correlationId: string };
  channel.publish('', replyTo, message.content, { correlationId });
  channel.ack(message);
});
await untilStopped();
await connection.close();
