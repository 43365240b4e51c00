import assert from 'node:assert/strict';
import { AgentError } from '../../src/util/agent-errors.ts';
import { FINISH_MS } from '../../src/queues/decide-alert.ts';
import { createSendNotices } from '../../src/notices/send-notices.ts';
import { createMemoryStore } from '../support/memory-store.ts';
import { createQueueRoom, type QueueRoom } from '../support/queue-room.ts';
import { alertOf, recordOf } from '../support/records.ts';
import { interceptStore } from '../support/step-observer.ts';

const QUEUE = alertOf().queue;
const { signal } = new AbortController();

/** At which call of the store it fails, counted from 0, and whether it does what it was asked all the same. */
interface Fault {
  readonly call: number;
  readonly isDone: boolean;
}

/** Something that becomes of a queue, and what must have happened in the end, whatever failed. */
interface History {
  readonly name: string;
  readonly act: (room: QueueRoom, round: number) => void;
  readonly told: readonly string[];
  readonly mails: readonly RegExp[];
  readonly isLeft: boolean;
}

const HISTORIES: readonly History[] = [
  {
    name: 'a deletion',
    act: ({ depths }, round) => void (round === 0 && depths.set(QUEUE, 9000)),
    told: [`warned ${QUEUE}`, `deleted ${QUEUE}`],
    mails: [/grows too large/, /was deleted/],
    isLeft: false,
  },
  {
    name: 'a recovery',
    act: ({ depths }, round) => void (round < 5 ? depths.set(QUEUE, 5000) : depths.set(QUEUE, 10)),
    told: [`warned ${QUEUE}`, `recovered ${QUEUE}`],
    mails: [/grows too large/, /small again/],
    isLeft: true,
  },
];

/** Far more than a history needs. */
const MOST_ROUNDS = 20;

/** Plays a history, with rounds of a survey and a sending of notices. Returns how many calls of the store it took. */
async function play({ name, act, told, mails, isLeft }: History, fault?: Fault): Promise<number> {
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
  const sender = createSendNotices({
    store,
    notifier: {
      async send({ subject }) {
        subjects.push(subject);
        return { is: 'sent' };
      },
    },
    clock: room.clock,
    mail: { agentId: 'pulse-agent', surveyIntervalSeconds: 60 },
    reporters: { noticeFailing: async () => assert.fail('no notice fails'), noticeAttempted: () => undefined },
  });
  const goOn = async (work: Promise<unknown>): Promise<void> => {
    await work.catch((error: unknown) => room.faults.push(error));
  };
  for (let round = 0; round < MOST_ROUNDS; round += 1) {
    act(room, round);
    await goOn(room.survey(signal));
    await goOn(sender.sweep(signal));
    room.clock.advance(FINISH_MS + 1);
  }
  const what = `${name}, where ${failed} failed${fault?.isDone === true ? ' after it was done' : ''}`;
  assert.equal(room.faults.length, fault === undefined ? 0 : 1, what);
  // Told again where it is not known that it was told.
  assert.deepEqual([...new Set(room.told)], told, what);
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
    it(`changes nothing of what comes of ${history.name}, whichever call it is`, async () => {
      const calls = await play(history);
      for (let call = 0; call < calls; call += 1) {
        await play(history, { call, isDone: false });
        await play(history, { call, isDone: true });
      }
    });
  }
});
