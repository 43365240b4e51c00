import assert from 'node:assert/strict';
import { connect } from 'amqplib';
import { readPermissions } from '../../../src/broker/user-permissions.ts';
import { systemClock } from '../../../src/util/clock.ts';
import type { FileSettings } from '../../../src/config/settings.ts';
import { manage } from '../../support/broker.ts';
import { unique } from '../../support/folders.ts';
import { makeNamespaceRoom } from '../../support/namespace-room.ts';

/** Never aborted. */
export const never = new AbortController().signal;

/** A broker with accounts of an installation, and its reconciliation, without an agent. */
export async function setUpSite(given: Partial<FileSettings> = {}) {
  const room = await makeNamespaceRoom(given);
  const { config, broker, store } = room;
  let calls: string[] = [];
  let aheadMs = 0;
  const agent = room.addAgent({
    clock: {
      nowMs: () => systemClock.nowMs() + aheadMs,
      monotonicMs: () => systemClock.monotonicMs() + aheadMs,
    },
    async around(step, call) {
      const [part, method = ''] = step.split('.');
      if (part === 'management') calls.push(method);
      return await call();
    },
  });
  const { management, repair, reconcile, events } = agent;
  const vhost = encodeURIComponent(config.vhost);
  const namespace = unique('taskcluster-team');
  const claim = async (name = namespace) => await agent.claim(name);
  const rotate = async (name = namespace): Promise<void> => {
    const record = store.peek(name) ?? assert.fail();
    store.put({ ...record, nextRotationMs: 0 });
    await agent.rotation.sweep(never);
    assert.equal(store.peek(name)?.generation, record.generation + 1);
  };
  const user = (slot: 1 | 2, name = namespace): string => `${config.usernamePrefix}${name}-${slot}`;
  const read = async (path: string): Promise<unknown> => (await manage(broker, 'GET', path, undefined, [404])).body;
  /** An account on the broker. */
  const seen = async (slot: 1 | 2, name = namespace) => {
    const account = (await read(`/users/${user(slot, name)}`)) as { tags?: string[]; password_hash?: string };
    return {
      exists: account.password_hash !== undefined,
      tags: account.tags,
      hash: account.password_hash,
      ...(await readPermissions(management, user(slot, name))),
      limits: await management.getUserLimits(user(slot, name)),
    };
  };
  return {
    ...room,
    inVhost: vhost,
    parts: agent,
    repair,
    reconcile: () => reconcile(never),
    namespace,
    claim,
    rotate,
    user,
    read,
    seen,
    lines: agent.log,
    put: (path: string, body?: object) => manage(broker, 'PUT', path, body),
    advance: (ms: number) => void (aheadMs += ms),
    takeEvents: () => events.splice(0),
    takeCalls: () => {
      const made = calls;
      calls = [];
      return made;
    },
  };
}

export type Site = Awaited<ReturnType<typeof setUpSite>>;

/** Fails unless these credentials open a connection. */
export async function opens(url: string): Promise<void> {
  await (await connect(url)).close();
}
