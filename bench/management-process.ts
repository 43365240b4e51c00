import { readFileSync } from 'node:fs';
import type { ApiUser } from '../dev/simulated-accounts.ts';
import { startSimulatedManagement } from '../dev/simulated-management.ts';
import { untilStopped } from './processes.ts';

/** What the process has from its start: users with their permissions and limits, and queues. */
export interface SimulatedContents {
  readonly users: readonly {
    readonly user: ApiUser;
    readonly permissions: Readonly<Record<string, object>>;
    readonly limits: Readonly<Record<string, number>>;
  }[];
  readonly vhost: string;
  readonly queues: readonly string[];
  /** In each of them. */
  readonly messages: number;
}

const read = (name: string): string => process.env[`BENCH_${name}`] ?? '';

const management = await startSimulatedManagement({
  upstream: read('UPSTREAM'),
  credentials: read('CREDENTIALS'),
  userPrefix: read('USER_PREFIX'),
  queuePrefix: read('QUEUE_PREFIX'),
  port: Number(read('PORT')),
});
const { users, vhost, queues, messages } = JSON.parse(readFileSync(read('CONTENTS'), 'utf8')) as SimulatedContents;
for (const { user, permissions, limits } of users) {
  management.accounts.answer('PUT', ['users', user.name], user);
  for (const [where, granted] of Object.entries(permissions)) {
    management.accounts.answer('PUT', ['permissions', where, user.name], granted);
  }
  for (const [limit, value] of Object.entries(limits)) {
    management.accounts.answer('PUT', ['user-limits', user.name, limit], { value });
  }
}
management.accounts.setQueues(vhost, queues, messages);
await untilStopped();
await management.close();
