// JavaScript: it runs beside an installed client, where there is no TypeScript loader.
import { setTimeout as delay } from 'node:timers/promises';

const PAUSE_MS = 20;
const TRIES = 300;
const TRY_EVERY_MS = 100;

/**
 * Publishes numbers with the publisher of taskcluster-lib-pulse and receives them with its consumer, until the lease has
 * changed its credentials this often.
 *
 * @returns how many numbers were sent, which were lost, and how many connections and users that took
 */
export async function passNumbers(pulse, pulseClient, lease, rotations) {
  const sent = new Set();
  const received = new Set();
  const users = new Set();
  const count = { renewals: 0, connections: 0 };
  lease.on('renewed', ({ changed }) => {
    if (changed) count.renewals += 1;
  });
  pulseClient.on('connected', () => {
    count.connections += 1;
    users.add(new URL(lease.connectionString).username);
  });
  const publisher = await numbersOf(pulse, lease.namespace).publisher({
    rootUrl: 'https://tc.example.com',
    schemaset: { validator: () => Promise.resolve(() => null) },
    client: pulseClient,
    sendDeadline: 30_000,
  });
  const bindings = [{ exchange: `exchange/${lease.namespace}/v1/numbers`, routingKeyPattern: '#' }];
  await pulse.consume({ client: pulseClient, queueName: 'numbers', bindings }, ({ payload }) => {
    received.add(payload.n);
    return Promise.resolve();
  });
  for (let n = 0; count.renewals < rotations; n += 1) {
    // Resolves when the broker has confirmed it.
    await publisher.number(n);
    sent.add(n);
    await delay(PAUSE_MS);
  }
  for (let tries = 0; tries < TRIES && received.size < sent.size; tries += 1) await delay(TRY_EVERY_MS);
  const lost = [...sent].filter((n) => !received.has(n));
  return { ...count, sent: sent.size, lost, users: users.size };
}

function numbersOf(pulse, namespace) {
  const texts = { title: 'Numbers', description: 'Numbers, one after the other.' };
  const exchanges = new pulse.Exchanges({ serviceName: 'numbers', projectName: namespace, version: 'v1', ...texts });
  exchanges.declare({
    ...texts,
    exchange: 'numbers',
    name: 'number',
    schema: 'number.yml',
    routingKey: [{ name: 'n', summary: 'The number.', maxSize: 20, required: true }],
    messageBuilder: (n) => ({ n }),
    routingKeyBuilder: (n) => ({ n: String(n) }),
    CCBuilder: () => [],
  });
  return exchanges;
}
