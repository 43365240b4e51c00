import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { TAKEOVER_AFTER_MS } from '../../src/queues/decide-alert.ts';
import type { QueueAlertLevel } from '../../src/store/queue-alert-records.ts';
import { createMemoryStore } from '../support/memory-store.ts';
import { createQueueRoom } from '../support/queue-room.ts';
import { alertOf, exemptionOf, recordOf } from '../support/records.ts';

const QUEUE = alertOf().queue;
const { signal } = new AbortController();
const PURGE = { match: 'taskcluster-x', onOvergrown: 'purge' } as const;
const LEAVE = { match: 'taskcluster-x', onOvergrown: 'leave' } as const;

async function scene(level: QueueAlertLevel, messages: number, rule: typeof PURGE | typeof LEAVE = PURGE) {
  const store = createMemoryStore();
  const room = createQueueRoom(store, { rules: [rule], beforeDelete: async () => room.clock.advance(0) });
  store.put(recordOf(room.clock.nowMs()));
  await store.queueAlerts.insert(
    alertOf({ level, messages: 9000, changedMs: room.clock.nowMs() - TAKEOVER_AFTER_MS, seenMs: room.clock.nowMs() }),
  );
  room.depths.set(QUEUE, messages);
  return {
    ...room,
    store,
    level: async () => (await store.queueAlerts.get(QUEUE))?.level,
    survey: async () => {
      room.clock.advance(7_000);
      await room.survey(signal);
      assert.deepEqual(room.errors, []);
    },
  };
}

/** A room whose broker lists the depth that a queue had before it was purged. */
async function lagging() {
  const store = createMemoryStore();
  const room = createQueueRoom(store, { rules: [PURGE] });
  const { clock, depths, listed, reported } = room;
  store.put(recordOf(clock.nowMs()));
  await store.queueAlerts.insert(alertOf({ level: 'warned', messages: 4000, changedMs: clock.nowMs() - 60_000 }));
  for (const shown of [depths, listed]) shown.set(QUEUE, 9000);
  return { clock, depths, listed, reported, room };
}

describe('the purging of a queue', () => {
  it('keeps the queue, is reported with what was lost, and ends the alert', async () => {
    const { depths, reported, level, survey, clock } = await scene('warned', 9000);
    await survey();
    assert.deepEqual(reported, [`purged ${QUEUE} of 9000`]);
    assert.equal(depths.get(QUEUE), 0);
    clock.advance(TAKEOVER_AFTER_MS);
    await survey();
    assert.equal(await level(), undefined);
    assert.deepEqual(reported, [`purged ${QUEUE} of 9000`]);
  });

  it('is not warned of again by a listing that lags behind, as that of a quorum queue', async () => {
    const { depths, listed, clock, reported, room } = await lagging();
    await room.survey(signal);
    assert.deepEqual([reported, depths.get(QUEUE)], [[`purged ${QUEUE} of 9000`], 0]);
    for (let second = 0; second < 5; second += 1) {
      clock.advance(1_000);
      await room.survey(signal);
    }
    listed.delete(QUEUE);
    for (let second = 0; second < 12; second += 1) {
      clock.advance(1_000);
      await room.survey(signal);
    }
    assert.deepEqual(reported, [`purged ${QUEUE} of 9000`]);
    depths.set(QUEUE, 5000);
    await room.survey(signal);
    assert.deepEqual(reported, [`purged ${QUEUE} of 9000`, `warned ${QUEUE}`]);
  });

  it('is cancelled when the queue was drained', async () => {
    const { depths, reported, level, survey, listed } = await scene('warned', 7999);
    listed.set(QUEUE, 9000);
    await survey();
    assert.deepEqual(reported, []);
    assert.deepEqual([depths.get(QUEUE), await level()], [7999, 'warned']);
  });

  it('waits for the end of an exemption', async () => {
    const { store, clock, depths, reported, survey } = await scene('warned', 9000);
    await store.queueExemptions.insert(exemptionOf({ queue: QUEUE, untilMs: clock.nowMs() + 10_000 }));
    await survey();
    assert.deepEqual([reported, depths.get(QUEUE)], [[], 9000]);
    clock.advance(10_000);
    await survey();
    assert.deepEqual(reported, [`purged ${QUEUE} of 9000`]);
  });

  it('is reported when the agent that began it may have purged the queue, and done again where it is too deep', async () => {
    for (const [messages, reports] of [
      [0, [`purged ${QUEUE} of 9000`]],
      [8500, [`purged ${QUEUE} of 8500`]],
    ] as const) {
      const { reported, level, survey } = await scene('purging', messages);
      await survey();
      assert.deepEqual([reported, await level()], [reports, 'purged']);
    }
  });

  it('is reported once more where the agent died before that was written', async () => {
    const { reported, level, survey, clock } = await scene('purged', 3);
    await survey();
    assert.deepEqual([reported, await level()], [[`purged ${QUEUE} of 9000`], 'purged']);
    clock.advance(TAKEOVER_AFTER_MS);
    await survey();
    assert.deepEqual([reported, await level()], [[`purged ${QUEUE} of 9000`], undefined]);
  });

  it('is not begun, but finished, by a rule that leaves queues', async () => {
    const begun = await scene('over', 9000, LEAVE);
    await begun.survey();
    assert.deepEqual([begun.reported, await begun.level()], [[], 'warned']);
    await begun.survey();
    await begun.survey();
    assert.deepEqual([begun.reported, await begun.level()], [[`left ${QUEUE}`], 'left']);
    const purging = await scene('purging', 9000, LEAVE);
    await purging.survey();
    assert.deepEqual(purging.reported, [`purged ${QUEUE} of 9000`]);
  });

  it('holds in every history: no message is lost without a report, whatever step an agent dies after', async () => {
    const step = fc.record({
      published: fc.integer({ min: 0, max: 9000 }),
      writes: fc.option(fc.nat({ max: 12 }), { nil: undefined }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 12 }), async (steps) => {
        const store = createMemoryStore();
        let writesLeft = Infinity;
        const dying = async <T>(write: () => Promise<T>): Promise<T> => {
          if (writesLeft <= 0) throw new Error('the agent is dead');
          writesLeft -= 1;
          return await write();
        };
        const { queueAlerts, notices } = store;
        const mortal = {
          ...store,
          queueAlerts: {
            ...queueAlerts,
            insert: (alert: Parameters<typeof queueAlerts.insert>[0]) => dying(() => queueAlerts.insert(alert)),
            replace: (...write: Parameters<typeof queueAlerts.replace>) => dying(() => queueAlerts.replace(...write)),
            remove: (...write: Parameters<typeof queueAlerts.remove>) => dying(() => queueAlerts.remove(...write)),
          },
          notices: { ...notices, add: (notice: Parameters<typeof notices.add>[0]) => dying(() => notices.add(notice)) },
        };
        const room = createQueueRoom(mortal, { rules: [PURGE] });
        store.put(recordOf(room.clock.nowMs(), { expiresMs: room.clock.nowMs() + 1e9 }));
        room.depths.set(QUEUE, 0);
        let lost = 0;
        for (const { published, writes } of [
          ...steps,
          ...Array.from({ length: 4 }, () => ({ published: 0, writes: undefined })),
        ]) {
          writesLeft = writes ?? Infinity;
          const before = (room.depths.get(QUEUE) ?? 0) + published;
          room.depths.set(QUEUE, before);
          room.clock.advance(TAKEOVER_AFTER_MS + 7_000);
          await room.survey(signal).catch(() => undefined);
          lost += before - (room.depths.get(QUEUE) ?? 0);
        }
        const reports = new Set(room.reported.filter((report) => report.startsWith('purged')));
        assert.ok(lost === 0 || reports.size > 0, `${lost} messages lost: ${room.reported.join()}`);
        assert.ok(room.depths.has(QUEUE), 'the queue stays');
      }),
      { numRuns: 300 },
    );
  });
});
