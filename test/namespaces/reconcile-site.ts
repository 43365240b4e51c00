import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { connect } from 'amqplib';
import { noAudit } from '../../src/notify/audit.ts';
import { openManagement } from '../../src/composition/open-management.ts';
import { createBindingRemover } from '../../src/broker/foreign-bindings.ts';
import type { Management } from '../../src/broker/management.ts';
import { createNamespaceParts } from '../../src/composition/namespace-parts.ts';
import { systemClock } from '../../src/clock.ts';
import type { EventType } from '../../src/contract/event-types.ts';
import { createLog } from '../../src/log.ts';
import { createRepairParts } from '../../src/composition/repair-parts.ts';
import type { FileSettings } from '../../src/settings.ts';
import { makeInstallation } from '../support/agent.ts';
import { manage } from '../support/broker.ts';
import { addCleanup } from '../support/cleanup.ts';
import { unique } from '../support/folders.ts';
import { createMemoryStore } from '../support/memory-store.ts';

/** Nobody aborts it. */
export const never = new AbortController().signal;

/** A broker with accounts of an installation, and the parts that compare them, without an agent. */
export async function setUpSite(given: Partial<FileSettings> = {}) {
  const installation = await makeInstallation({ settings: given });
  const { config, broker } = installation;
  const store = createMemoryStore();
  const events: { type: EventType; data: Record<string, unknown> }[] = [];
  const lines: string[] = [];
  let calls: string[] = [];
  const real = openManagement(config);
  const management = new Proxy(real, {
    get(target, name: keyof Management) {
      const call = target[name] as (...rest: unknown[]) => unknown;
      return (...rest: unknown[]) => {
        calls.push(name);
        return call.apply(target, rest);
      };
    },
  });
  const bindings = createBindingRemover({
    amqpUrl: config.rabbitmqUrl,
    id: config.id,
    vhost: config.vhost,
    management,
  });
  addCleanup(async () => {
    await bindings.close();
    real.close();
  });
  let aheadMs = 0;
  const clock = {
    nowMs: () => systemClock.nowMs() + aheadMs,
    monotonicMs: () => systemClock.monotonicMs() + aheadMs,
  };
  const settings = {
    config,
    store,
    management,
    clock,
    randomBytes,
    random: () => 0,
    log: createLog(config, { write: (line: string) => void lines.push(line) }),
    audit: noAudit,
    events: { emit: (type: EventType, data: object) => void events.push({ type, data: { ...data } }) },
  };
  const parts = createNamespaceParts(settings);
  const { repair, reconcile } = createRepairParts(settings, parts, bindings);
  const vhost = encodeURIComponent(config.vhost);
  await manage(broker, 'PUT', `/exchanges/${vhost}/${encodeURIComponent(installation.names.rpcExchange)}`, {
    type: 'direct',
    durable: true,
  });
  const namespace = unique('taskcluster-team');
  const claim = async (name = namespace) =>
    await parts.claimNamespace({ namespace: name, expiresMs: undefined, contact: null, claimedBy: 'team' }, never);
  const rotate = async (name = namespace): Promise<void> => {
    const record = store.peek(name) ?? assert.fail();
    store.put({ ...record, nextRotationMs: 0 });
    await parts.rotation.sweep(never);
    assert.equal(store.peek(name)?.generation, record.generation + 1);
  };
  const user = (slot: 1 | 2, name = namespace): string => `${config.usernamePrefix}${name}-${slot}`;
  const read = async (path: string): Promise<unknown> => (await manage(broker, 'GET', path, undefined, [404])).body;
  /** What there is of an account on the broker. */
  const seen = async (slot: 1 | 2, name = namespace) => {
    const account = (await read(`/users/${user(slot, name)}`)) as { tags?: string[]; password_hash?: string };
    return {
      exists: account.password_hash !== undefined,
      tags: account.tags,
      hash: account.password_hash,
      permissions: await real.getPermissions(config.vhost, user(slot, name)),
      limits: await real.getUserLimits(user(slot, name)),
    };
  };
  return {
    ...installation,
    inVhost: vhost,
    store,
    parts,
    repair,
    reconcile: () => reconcile(never),
    namespace,
    claim,
    rotate,
    user,
    read,
    seen,
    lines,
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

/** What {@link setUpSite} prepares. */
export type Site = Awaited<ReturnType<typeof setUpSite>>;

/** Fails unless these credentials open a connection. */
export async function opens(url: string): Promise<void> {
  await (await connect(url)).close();
}
