import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { AgentError } from '../../src/util/agent-errors.ts';
import { createLog } from '../../src/util/log.ts';
import { type Audit, createAudit } from '../../src/audit/audit.ts';
import type { AuditRecord, AuditStore } from '../../src/store/audit-records.ts';
import type { FileSettings } from '../../src/config/settings.ts';
import { addCleanup } from '../support/cleanup.ts';
import { createManualClock } from '../support/manual-clock.ts';
import { createMemoryStore } from '../support/memory-store.ts';

interface Scene {
  readonly audit: Audit;
  readonly lines: Record<string, unknown>[];
  /** What the store holds. */
  readonly kept: () => Promise<AuditRecord[]>;
  /** How many records each call had. */
  readonly calls: number[];
  /** Emits `call` after each of them. */
  readonly store: EventEmitter;
  isDown: boolean;
}

function setUp(options: { logLevel?: FileSettings['logLevel']; gatherMs?: number } = {}): Scene {
  const { audit: store } = createMemoryStore();
  const lines: Scene['lines'] = [];
  const log = createLog(
    { logLevel: options.logLevel ?? 'info', id: 'test' },
    { write: (line: string) => void lines.push(JSON.parse(line)) },
  );
  const calls: number[] = [];
  const told = new EventEmitter();
  const append: AuditStore['append'] = async (records) => {
    calls.push(records.length);
    try {
      if (scene.isDown) throw new AgentError('StoreUnavailable', 'The store is down.');
      await store.append(records);
    } finally {
      setImmediate(() => told.emit('call'));
    }
  };
  const gathering = options.gatherMs === undefined ? {} : { gatherMs: options.gatherMs };
  const audit = createAudit({ store: { append }, log, clock: createManualClock(), instance: 'host-1', ...gathering });
  const scene: Scene = {
    audit,
    lines,
    calls,
    store: told,
    isDown: false,
    kept: () => store.list({ limit: 20_000 }),
  };
  addCleanup(async () => {
    scene.isDown = false;
    await audit.close();
  });
  return scene;
}

describe('the audit of an agent', () => {
  it('is a line in the log at once, and a record in the store soon', async () => {
    const { audit, lines, kept, store } = setUp({ gatherMs: 1 });
    audit.record({ action: 'deletion', namespace: 'taskcluster-x', reason: 'expired', details: { queues: 2 } });
    const [line] = lines;
    const { time, pid, id, ...said } = line ?? {};
    assert.ok(typeof time === 'string' && typeof pid === 'number' && typeof id === 'string');
    assert.deepEqual(said, {
      level: 'info',
      agent: 'test',
      name: 'audit',
      code: 'audit',
      msg: 'deletion',
      actor: 'agent',
      actorName: 'host-1',
      instance: 'host-1',
      action: 'deletion',
      namespace: 'taskcluster-x',
      reason: 'expired',
      outcome: 'done',
      details: { queues: 2 },
    });
    await once(store, 'call');
    assert.deepEqual(await kept(), [
      {
        id,
        atMs: createManualClock().nowMs(),
        instance: 'host-1',
        actor: 'agent',
        actorName: 'host-1',
        userId: null,
        action: 'deletion',
        namespace: 'taskcluster-x',
        subject: null,
        reason: 'expired',
        outcome: 'done',
        requestId: null,
        details: { queues: 2 },
      },
    ]);
  });

  it('is in the log whatever its level, unless that is silent', async () => {
    for (const logLevel of ['trace', 'error'] as const) {
      const { audit, lines } = setUp({ logLevel });
      audit.record({ action: 'claim', reason: 'first claim' });
      assert.equal(lines.length, 1, logLevel);
    }
    const { audit, lines, kept } = setUp({ logLevel: 'silent' });
    audit.record({ action: 'claim', reason: 'first claim' });
    await audit.close();
    assert.deepEqual([lines.length, (await kept()).length], [0, 1]);
  });

  it('goes into the store many records at a time, and all of them before the agent ends', async () => {
    const { audit, kept, calls } = setUp();
    for (let count = 0; count < 1_200; count += 1) audit.record({ action: 'rotation', reason: String(count) });
    assert.deepEqual(calls, []);
    const closing = audit.close();
    audit.record({ action: 'rotation', reason: 'late' });
    await closing;
    assert.deepEqual(calls, [500, 500, 201]);
    assert.equal((await kept()).length, 1_201);
  });

  it('waits while the store is down, says so once, and is written when it is back', async () => {
    const scene = setUp({ gatherMs: 1 });
    const { audit, lines, kept, store, calls } = scene;
    scene.isDown = true;
    audit.record({ action: 'claim', reason: 'first claim' });
    while (calls.length < 3) await once(store, 'call');
    const warnings = () => lines.filter(({ level }) => level === 'warn');
    assert.equal(warnings().length, 1);
    audit.record({ action: 'claim', reason: 'second' });
    scene.isDown = false;
    while ((await kept()).length < 2) await once(store, 'call');
    assert.equal(warnings().length, 1);
    assert.ok(lines.some(({ code }) => code === 'audit_store_recovered'));
    scene.isDown = true;
    audit.record({ action: 'claim', reason: 'third' });
    while (warnings().length < 2) await once(store, 'call');
  });

  it('keeps only so many while the store is down, and says that the oldest are lost to it', async () => {
    const scene = setUp();
    const { audit, lines, kept } = scene;
    scene.isDown = true;
    for (let count = 0; count < 10_003; count += 1) audit.record({ action: 'claim', reason: String(count) });
    assert.equal(lines.filter(({ level }) => level === 'error').length, 1);
    scene.isDown = false;
    await audit.close();
    const reasons = (await kept()).map(({ reason }) => Number(reason));
    assert.equal(reasons.length, 10_000);
    assert.equal(Math.min(...reasons), 3);
    assert.ok(lines.some(({ code, lost }) => code === 'audit_store_recovered' && lost === 3));
  });

  it('says at the end what the store did not take, and ends all the same', async () => {
    const scene = setUp();
    const { audit, lines } = scene;
    scene.isDown = true;
    audit.record({ action: 'claim', reason: 'first claim' });
    audit.record({ action: 'claim', reason: 'second' });
    await audit.close();
    const last = lines.at(-1);
    assert.equal(last?.['level'], 'error');
    assert.equal(last['records'], 2);
  });
});
