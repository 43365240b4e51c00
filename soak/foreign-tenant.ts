import { isDeepStrictEqual } from 'node:util';
import { randomBytes } from 'node:crypto';
import type { ConfirmChannel } from 'amqplib';
import { keepConnection } from './kept-connection.ts';
import { ofAccount, ofObject } from './leftover-watch.ts';
import type { RunContext } from './run-context.ts';
import { Violation } from './violation.ts';
import { ID } from './settings.ts';
import { pause } from './pause.ts';

const USER = 'foreign-tenant';
const EVERY_MS = 10_000;
const PUBLISH_EVERY_MS = 500;

/** Named nearly like something of the agent, and none of its business. */
const LOOKALIKES = ['taskcluster-soak', 'taskclustersoak-0001-1', 'soak-taskcluster-0001-1', `${USER}-1`];
const EXCHANGES = ['foreign/exchange', 'exchange/other/done', 'exchange/taskclusters/done'];
const QUEUES = ['foreign/queue', 'queue/other/work', 'foreign.taskcluster-soak-0001', 'queue-taskcluster-soak-0001'];

/** A tenant of the same broker who does not use the agent: has users, permissions, policies, queues and a connection. */
export interface ForeignTenant {
  /** Makes everything of the tenant. Call it once. */
  settle(): Promise<void>;
  /** Compares everything with what was made, and publishes and consumes, until the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
  /** Compares once. */
  check(): Promise<void>;
}

type Snapshot = Readonly<Record<string, unknown>>;

/** Whether a user, queue, exchange or policy is neither the agent's own nor one of a namespace. */
function isForeign({ name = '', vhost = '/' }: { readonly name?: string; readonly vhost?: string }): boolean {
  return vhost === '/' && ofAccount(name) === undefined && ofObject(name) === undefined && !name.includes(ID);
}

function sorted(all: readonly object[] | undefined): unknown {
  return all?.map((one) => JSON.stringify(one)).toSorted();
}

/** Makes the tenant, who has nothing yet. */
export function createForeignTenant(context: Pick<RunContext, 'world' | 'report' | 'figures'>): ForeignTenant {
  const { world, report, figures } = context;
  const { admin } = world;
  const password = randomBytes(18).toString('base64url');
  let expected: Snapshot | undefined;

  /** What there is besides the agent's own; undefined when a listing failed. */
  const snapshot = async (): Promise<Snapshot | undefined> => {
    const [users, permissions, queues, exchanges, bindings, policies] = await Promise.all([
      admin.list<{ name: string }>('/users?columns=name,password_hash,tags'),
      admin.list<{ user: string; vhost: string }>('/permissions'),
      admin.list<{ name: string; auto_delete: boolean; exclusive: boolean }>(
        '/queues/%2F?disable_stats=true&columns=name,durable,auto_delete,exclusive,arguments',
      ),
      admin.list<{ name: string }>('/exchanges/%2F?columns=name,type,durable,arguments'),
      admin.list<{ source: string; destination: string }>('/bindings/%2F?columns=source,destination,routing_key'),
      admin.list<{ name: string }>('/policies/%2F'),
    ]);
    const all = {
      users: sorted(users?.filter(isForeign)),
      permissions: sorted(permissions?.filter(({ user, vhost }) => isForeign({ name: user, vhost }))),
      // Those of the watchers are exclusive: they change with their connections.
      queues: sorted(queues?.filter((queue) => isForeign(queue) && !queue.exclusive && !queue.name.startsWith('amq.'))),
      exchanges: sorted(exchanges?.filter(isForeign)),
      bindings: sorted(
        bindings?.filter(
          ({ source, destination }) => source.startsWith('foreign/') || destination.startsWith('foreign/'),
        ),
      ),
      policies: sorted(policies?.filter(isForeign)),
    };
    return Object.values(all).includes(undefined) ? undefined : all;
  };

  const check = async (): Promise<void> => {
    const found = await snapshot();
    if (found === undefined || expected === undefined) return;
    figures.count('checks of the foreign tenant');
    for (const [what, before] of Object.entries(expected)) {
      if (isDeepStrictEqual(found[what], before)) continue;
      const change = `${what} were ${JSON.stringify(before)} and are ${JSON.stringify(found[what])}`;
      report(new Violation('prefixes', `What belongs to another tenant has changed: ${change}.`));
    }
  };

  const publish = async (channel: ConfirmChannel, ended: () => boolean, signal: AbortSignal): Promise<void> => {
    while (!signal.aborted && !ended()) {
      channel.publish('foreign/exchange', 'any', Buffer.from('foreign'), { persistent: true });
      figures.count('messages of the foreign tenant');
      await pause(PUBLISH_EVERY_MS, signal);
    }
  };

  return {
    check,
    async settle() {
      const everything = { configure: '.*', write: '.*', read: '.*' };
      await admin.call('PUT', `/users/${USER}`, { password, tags: '' });
      await admin.call('PUT', `/permissions/%2F/${USER}`, everything);
      for (const name of LOOKALIKES) {
        await admin.call('PUT', `/users/${name}`, { password, tags: '' });
        await admin.call('PUT', `/permissions/%2F/${name}`, { configure: '^$', write: '^$', read: '^foreign' });
      }
      for (const name of EXCHANGES) {
        await admin.call('PUT', `/exchanges/%2F/${encodeURIComponent(name)}`, { type: 'topic', durable: true });
      }
      for (const [index, name] of QUEUES.entries()) {
        const type = index % 2 === 0 ? 'quorum' : 'classic';
        const body = { durable: true, arguments: { 'x-queue-type': type } };
        await admin.call('PUT', `/queues/%2F/${encodeURIComponent(name)}`, body);
      }
      const binding = `/e/${encodeURIComponent('foreign/exchange')}/q/${encodeURIComponent('foreign/queue')}`;
      await admin.call('POST', `/bindings/%2F${binding}`, { routing_key: '#' });
      const policy = { pattern: '^foreign', definition: { 'max-length': 100_000 }, 'apply-to': 'queues' };
      await admin.call('PUT', '/policies/%2F/foreign-policy', policy);
      expected = await snapshot();
    },
    async run(signal) {
      const url = Object.assign(new URL(world.adminUrl), { username: USER, password }).href;
      const connected = keepConnection(
        url,
        async (connection) => {
          const channel = await connection.createConfirmChannel();
          let isOver = false;
          channel.on('error', () => undefined).on('close', () => (isOver = true));
          await channel.consume('foreign/queue', () => undefined, { noAck: true });
          void publish(channel, () => isOver, signal).catch(() => undefined);
        },
        signal,
        (error) => {
          // RabbitMQ's own reasons are that the node or the vhost stops.
          if (!/CONNECTION_FORCED/.test(error?.message ?? '') || /shutdown|vhost/i.test(error?.message ?? '')) return;
          report(new Violation('prefixes', `The connection of another tenant was closed: ${error?.message}.`));
        },
      );
      while (!signal.aborted) {
        await check();
        await pause(EVERY_MS, signal);
      }
      await connected;
    },
  };
}
