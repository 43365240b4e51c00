import assert from 'node:assert/strict';
import { AgentError } from '../../src/util/agent-errors.ts';
import { TAKEOVER_AFTER_MS } from '../../src/queues/decide-alert.ts';
import { createNoticeSender } from '../../src/notices/send-notices.ts';
import { createMemoryStore } from '../support/memory-store.ts';
import { createQueueRoom, type QueueRoom } from '../support/queue-room.ts';
import { alertOf, recordOf } from '../support/records.ts';
import { interceptStore } from '../support/step-observer.ts';

const QUEUE = alertOf().queue;
const { signal } = new AbortController();

/** Which call of the store fails, counted from 0, and whether the store does what it was asked nevertheless. */
interface Fault {
  readonly call: number;
  readonly isDone: boolean;
}

/** What happens to a queue, and what must have come of it whichever call failed. */
interface History {
  readonly name: string;
  readonly act: (room: QueueRoom, round: number) => void;
  readonly reported: readonly string[];
  readonly mails: readonly RegExp[];
  readonly isLeft: boolean;
}

const HISTORIES: readonly History[] = [
  {
    name: 'a deletion',
    act: ({ depths }, round) => void (round === 0 && depths.set(QUEUE, 9000)),
    reported: [`warned ${QUEUE}`, `deleted ${QUEUE}`],
    mails: [/growing too large/, /was deleted/],
    isLeft: false,
  },
  {
    name: 'a recovery',
    act: ({ depths }, round) => void (round < 5 ? depths.set(QUEUE, 5000) : depths.set(QUEUE, 10)),
    reported: [`warned ${QUEUE}`, `recovered ${QUEUE}`],
    mails: [/growing too large/, /has recovered/],
    isLeft: true,
  },
];

/** Far more than a history needs. */
const ROUNDS = 20;

/** Plays a history in rounds of a survey and a sending of notices. Returns the number of calls of the store. */
async function play({ name, act, reported, mails, isLeft }: History, fault?: Fault): Promise<number> {
  const memory = createMemoryStore();
  let calls = 0;
  let failed = '';
  const store = interceptStore(memory, async (step, call) => {
    const isFaulty = calls === fault?.call;
    calls += 1;
    if (!isFaulty) return await call();
    failed = step;
    if (fault.isDone) await call();
    throw new AgentError('StoreUnavailable', 'By a test.');
  });
  const subjects: string[] = [];
  const room = createQueueRoom(store, {
    async beforeDelete() {
      assert.equal(subjects.length, 1, 'the warning was sent before');
    },
  });
  memory.put(recordOf(room.clock.nowMs(), { contact: 'owner@example.org' }));
  const sender = createNoticeSender({
    store,
    notifier: {
      async send(message) {
        assert.ok(message.medium === 'mail');
        subjects.push(message.subject);
        return { is: 'sent' };
      },
    },
    clock: room.clock,
    config: { id: 'pulse-agent', surveyIntervalSeconds: 60 },
    reporters: { noticeFailing: async () => assert.fail('no notice fails'), noticeAttempted: () => undefined },
  });
  const run = async (work: Promise<unknown>): Promise<void> => {
    await work.catch((error: unknown) => room.errors.push(error));
  };
  for (let round = 0; round < ROUNDS; round += 1) {
    act(room, round);
    await run(room.survey(signal));
    await run(sender.sweep(signal));
    room.clock.advance(TAKEOVER_AFTER_MS + 1);
  }
  const what = `${name}, where ${failed} failed${fault?.isDone === true ? ' after it was done' : ''}`;
  assert.equal(room.errors.length, fault === undefined ? 0 : 1, what);
  // Reported again where the first report is not known to have succeeded.
  assert.deepEqual([...new Set(room.reported)], reported, what);
  assert.deepEqual(
    subjects.map((subject) => mails.findIndex((mail) => mail.test(subject))),
    mails.map((_, index) => index),
    what,
  );
  assert.equal(room.depths.has(QUEUE), isLeft, what);
  assert.equal(await memory.queueAlerts.get(QUEUE), undefined, what);
  return calls;
}

describe('a store that fails at one call', () => {
  for (const history of HISTORIES) {
    it(`does not change the outcome of ${history.name}, whichever call fails`, async () => {
      const calls = await play(history);
      for (let call = 0; call < calls; call += 1) {
        await play(history, { call, isDone: false });
        await play(history, { call, isDone: true });
      }
    });
  }
});
