import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { type ConfirmChannel, connect } from 'amqplib';
import { startRabbitMQ } from '../dev/rabbitmq.ts';
import { WORKING_COPY } from '../dev/working-copy.ts';
import { median } from './limits.ts';

// CPU of this process for one reply, with confirms awaited in several ways: `node dev/bootstrap.js bench/confirms.ts`.

const BATCH = 32;
const BATCHES = 300;
const TURNS = 9;
const CONTENT = Buffer.alloc(600, 'x');
const OPTIONS = { contentType: 'application/json', correlationId: 'c'.repeat(36), type: 'result', persistent: false };

const folder = join(WORKING_COPY, `.cache/confirms-${process.pid}`);
const broker = await startRabbitMQ({ folder });
try {
  const connection = await connect(broker.amqpUrl);
  const channel = await connection.createConfirmChannel();
  const { queue } = await channel.assertQueue('', { exclusive: true, maxLength: 1 });

  /** Publishes one message; resolves when it is confirmed. */
  const publish = (on: ConfirmChannel): Promise<void> =>
    new Promise((resolve, reject) => {
      on.publish('', queue, CONTENT, OPTIONS, (error) => (error === null ? resolve() : reject(error as Error)));
    });
  const batches: Readonly<Record<string, () => Promise<unknown>>> = {
    'a callback and a promise for each, as the agent does': () =>
      Promise.all(Array.from({ length: BATCH }, () => publish(channel))),
    'waitForConfirms once for 32': async () => {
      for (let message = 0; message < BATCH; message += 1) channel.publish('', queue, CONTENT, OPTIONS);
      await channel.waitForConfirms();
    },
  };
  const cpuOf = async (batch: () => Promise<unknown>): Promise<number> => {
    const before = process.cpuUsage();
    for (let turn = 0; turn < BATCHES; turn += 1) await batch();
    const { user, system } = process.cpuUsage(before);
    return (user + system) / (BATCHES * BATCH);
  };
  const costs = new Map(Object.keys(batches).map((what) => [what, [] as number[]]));
  // In turns, so that all meet the same load of the machine. The first turn warms up.
  for (let turn = 0; turn <= TURNS; turn += 1) {
    for (const [what, batch] of Object.entries(batches)) {
      const cpu = await cpuOf(batch);
      if (turn > 0) costs.get(what)?.push(cpu);
    }
  }
  console.log(`Node ${process.version}, 32 replies in flight, medians of ${TURNS} turns\n`);
  for (const [what, cpus] of costs) {
    console.log(
      `${median(cpus).toFixed(1)} µs (${Math.min(...cpus).toFixed(1)} to ${Math.max(...cpus).toFixed(1)}): ${what}`,
    );
  }
  await connection.close();
} finally {
  await broker.kill();
  rmSync(folder, { recursive: true, force: true });
}
