import type { EventView } from '../../src/operator-api/schemas.ts';
import { depthAt, noise } from './sample-amounts.ts';
import { iso, namespaceName, SAMPLE_SIZE } from './sample-installation.ts';

const DATA: readonly (readonly [type: string, data: (namespace: string, number: number) => EventView['data']])[] = [
  [
    'namespace.rotated',
    (namespace, number) => ({
      account: `${namespace}-1`,
      generation: 3 + (number % 40),
      nextRotation: iso(Date.now() + 3_600_000),
    }),
  ],
  [
    'namespace.claimed',
    (_, number) => ({
      clientId: `project/builds/worker-${number % 9}`,
      first: number % 3 === 0,
      created: iso(Date.now()),
      expires: iso(Date.now()),
      reclaimAt: iso(Date.now()),
    }),
  ],
  [
    'queue.warning',
    (namespace, number) => ({
      queue: `queue/${namespace}/tasks`,
      messages: 4000 + depthAt(number, Date.now()),
      warnAtMessages: 4000,
      deleteAtMessages: 8000,
    }),
  ],
  ['connection.closed', (namespace) => ({ account: `${namespace}-2`, connection: 'a-random-id', reason: 'age' })],
  ['queue.deleted', (namespace) => ({ queue: `queue/${namespace}/results`, messages: 8123, deleteAtMessages: 8000 })],
];

/** The made-up event with this number. */
export function sampleEvent(number: number, atMs: number): EventView {
  const [type, data] = DATA[Math.floor(noise(number) ** 2 * DATA.length)] ?? ['agent.started', () => ({})];
  const namespace = namespaceName(Math.floor(noise(number + 3) * SAMPLE_SIZE));
  return {
    id: `event-${number}`,
    time: iso(atMs),
    type,
    subject: namespace,
    namespace,
    instance: `pulse-agent-${number % 3}-1b2c3d4e`,
    data: { namespace, ...data(namespace, number) },
  };
}
