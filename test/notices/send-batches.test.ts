import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import * as fc from 'fast-check';
import { ATTEMPT_LEASE_MS, GATHER_MS } from '../../src/notices/decide-notice.ts';
import { LIMIT_WINDOW_MS, limitMessages, MAX_MESSAGES } from '../../src/notices/limit-messages.ts';
import type { Mail, Notifier, NoticeOutcome } from '../../src/notices/notifier.ts';
import { createNoticeSender, type Notices, type NoticeSenderParts } from '../../src/notices/send-notices.ts';
import type { NamespaceRecord } from '../../src/store/namespace-record.ts';
import type { Notice } from '../../src/store/notice-records.ts';
import { openStore } from '../../src/store/open-store.ts';
import type { Store } from '../../src/store/store.ts';
import { systemClock } from '../../src/util/clock.ts';
import { addCleanup } from '../support/cleanup.ts';
import { dyingStore } from '../support/dying-store.ts';
import { makeFolder, unique } from '../support/folders.ts';
import { createManualClock, type ManualClock } from '../support/manual-clock.ts';
import { createMemoryStore } from '../support/memory-store.ts';
import { mongoDatabase, useSharedMongoDB } from '../support/mongodb.ts';
import { noticeOf, recordOf } from '../support/records.ts';
import { interceptStore } from '../support/step-observer.ts';

const OWNER = 'owner@example.org';
const signal = new AbortController().signal;
setMaxListeners(0, signal);

describe('the sending of notices about many queues', () => {
  describe('from LMDB', () => {
    suite(async () => {
      const store = await open(`lmdb:${makeFolder('notices')}`);
      return [store, store];
    });
  });

  describe('from MongoDB', function () {
    this.timeout(120_000);
    const mongodb = useSharedMongoDB();
    suite(async () => {
      const url = mongoDatabase(mongodb());
      return [await open(url), await open(url)];
    });
  });
});

async function open(url: string): Promise<Store> {
  const store = await openStore(url, { clock: systemClock, randomBytes });
  addCleanup(() => store.close());
  return store;
}

/** A notify service that drops what it has sent before, and gives the answers it was given. */
interface Service extends Notifier {
  readonly mails: Mail[];
  outcome: NoticeOutcome | undefined;
}

function createService(): Service {
  const mails: Mail[] = [];
  return {
    mails,
    outcome: undefined,
    async send(message) {
      assert.ok(message.medium === 'mail');
      if (this.outcome !== undefined) return this.outcome;
      if (mails.some((mail) => JSON.stringify(mail) === JSON.stringify(message))) {
        return { is: 'not-sent', code: 'NotSent' };
      }
      mails.push(message);
      return { is: 'sent' };
    },
  };
}

function senderOf(
  given: Pick<NoticeSenderParts, 'store' | 'clock' | 'notifier'> & Partial<NoticeSenderParts>,
): Notices {
  return createNoticeSender({
    config: { id: 'pulse-agent', surveyIntervalSeconds: 60 },
    reporters: { noticeFailing: async () => undefined, noticeAttempted: () => undefined },
    ...given,
  });
}

function suite(makeStores: () => Promise<[Store, Store]>): void {
  let clock: ManualClock;
  let service: Service;
  let store: Store;
  let otherStore: Store;
  beforeEach(async () => {
    [store, otherStore] = await makeStores();
    service = createService();
    clock = createManualClock(Date.now());
  });

  const agent = (given: Partial<NoticeSenderParts> = {}): Notices =>
    senderOf({ store, clock, notifier: service, ...given });
  const claim = async (record: Partial<NamespaceRecord> = {}): Promise<string> => {
    const namespace = unique('taskcluster-x');
    await store.namespaces.insert(recordOf(clock.nowMs(), { namespace, revision: 1, contact: OWNER, ...record }));
    return namespace;
  };
  const add = async (namespace: string, count: number, given: Partial<Notice> = {}): Promise<Notice[]> =>
    await Promise.all(
      Array.from({ length: count }, async () => {
        const id = unique('notice');
        const queue = `queue/${namespace}/${id}`;
        return await store.notices.add(noticeOf(clock.nowMs(), { id, namespace, queue, ...given }));
      }),
    );
  const states = async (all: readonly Notice[]): Promise<string[]> => {
    const found = await Promise.all(all.map(({ id }) => store.notices.get(id)));
    return [...new Set(found.map((notice) => `${notice?.state} ${notice?.attempts}`))];
  };
  const setContact = async (namespace: string, contact: string | null): Promise<void> => {
    const record = await store.namespaces.get(namespace);
    assert.ok(record !== undefined);
    await store.namespaces.replace({ ...record, revision: record.revision + 1, contact }, record.revision);
  };

  it('sends one mail for each kind of change, across namespaces, and reports each queue', async () => {
    const [one, two] = [await claim(), await claim()];
    const all = [...(await add(one, 60)), ...(await add(two, 30))];
    const deletions = await add(one, 2, { kind: 'queue-deletion' });
    const reported: Notice[] = [];
    const reporters = { noticeFailing: async () => undefined, noticeAttempted: (it: Notice) => void reported.push(it) };
    await agent({ reporters }).sweep(signal);
    const subjects = service.mails.map(({ subject }) => subject);
    assert.deepEqual(subjects.toSorted(), ['[Pulse] 2 queues were deleted', '[Pulse] 90 queues are growing too large']);
    assert.deepEqual(await states([...all, ...deletions]), ['sent 1']);
    assert.equal(new Set(reported.map(({ id }) => id)).size, 92);
    assert.equal(reported.length, 92);
    const content = service.mails.find(({ subject }) => subject.includes('90'))?.content ?? '';
    assert.match(content, /And \*\*65 more\*\*/);
    assert.ok(
      content.includes(`the namespaces \`${one}\`, \`${two}\` have your address`) ||
        content.includes(`\`${two}\`, \`${one}\``),
    );
    assert.equal(await store.notices.countWaiting(), 0);
    clock.advance(10 * ATTEMPT_LEASE_MS);
    await agent().sweep(signal);
    assert.equal(service.mails.length, 2);
  });

  it('sends it again as it was, and settles all with it', async () => {
    const all = await add(await claim(), 30);
    service.outcome = { is: 'unavailable', code: 'HTTP 503', mayHaveArrived: true };
    await agent().sweep(signal);
    const more = await add(await claim(), 5);
    service.outcome = undefined;
    for (let round = 0; round < 8; round += 1) {
      clock.advance(20_000);
      await agent().sweep(signal);
    }
    assert.deepEqual(
      service.mails.map(({ subject }) => subject),
      ['[Pulse] 30 queues are growing too large', '[Pulse] 5 queues are growing too large'].toSorted((a) =>
        a === service.mails[0]?.subject ? -1 : 1,
      ),
    );
    assert.deepEqual((await states(all)).toSorted(), ['sent 2']);
    assert.deepEqual(await states(more), ['sent 1']);
  });

  it('gathers again what was refused for too many mails, and fails all together', async () => {
    const namespace = await claim();
    service.outcome = { is: 'not-sent', code: 'NotSent' };
    for (let round = 0; round < 3; round += 1) {
      await add(namespace, 1);
      await agent().sweep(signal);
      clock.advance(GATHER_MS);
    }
    service.outcome = undefined;
    clock.advance(700_000);
    await agent().sweep(signal);
    assert.deepEqual(
      service.mails.map(({ subject }) => subject),
      ['[Pulse] 3 queues are growing too large'],
    );
    const refused = await add(namespace, 4);
    service.outcome = { is: 'refused', code: 'DenylistedAddress' };
    const failing: string[] = [];
    const noticeFailing = async ({ id, lastError }: Notice): Promise<void> => void failing.push(`${id} ${lastError}`);
    await agent({ reporters: { noticeFailing, noticeAttempted: () => undefined } }).sweep(signal);
    assert.deepEqual(failing.toSorted(), refused.map(({ id }) => `${id} DenylistedAddress`).toSorted());
    assert.deepEqual(await states(refused), ['failed 1']);
  });

  it('gathers what comes one by one to a contact that has got many', async () => {
    const namespace = await claim();
    const notifier = limitMessages(service, clock);
    const all: Notice[] = [];
    for (let number = 0; number < MAX_MESSAGES + 9; number += 1) {
      all.push(...(await add(namespace, 1)));
      await agent({ notifier }).sweep(signal);
      clock.advance(2 * GATHER_MS);
    }
    assert.equal(service.mails.length, MAX_MESSAGES);
    assert.deepEqual((await states(all)).toSorted(), ['sent 1', 'waiting 1']);
    // The first messages are ten minutes ago: the next notice takes along those that wait.
    clock.advance(LIMIT_WINDOW_MS - 2 * GATHER_MS * MAX_MESSAGES);
    all.push(...(await add(namespace, 1)));
    await agent({ notifier }).sweep(signal);
    assert.deepEqual(service.mails.at(-1)?.subject, '[Pulse] 10 queues are growing too large');
    assert.equal(service.mails.length, MAX_MESSAGES + 1);
    assert.equal(await store.notices.countWaiting(), 0);
  });

  it('shows no owner the queues of others once contacts differ', async () => {
    const [one, two, three] = [await claim(), await claim(), await claim()];
    const all = (await Promise.all([one, two, three].map((namespace) => add(namespace, 2)))).flat();
    service.outcome = { is: 'misconfigured', code: 'InsufficientScopes' };
    await agent().sweep(signal);
    await setContact(one, 'new@example.org');
    await setContact(three, null);
    service.outcome = undefined;
    for (let round = 0; round < 12; round += 1) {
      clock.advance(100_000);
      await agent().sweep(signal);
    }
    const told = service.mails.map(({ address, content }) => [
      address,
      [one, two, three].filter((namespace) => content.includes(`queue/${namespace}/`)),
    ]);
    assert.deepEqual(
      told.toSorted(([a], [b]) => String(a).localeCompare(String(b))),
      [
        ['new@example.org', [one]],
        [OWNER, [two]],
      ],
    );
    assert.match((await states(all.slice(4))).join(), /^withdrawn \d(,withdrawn \d)?$/);
    assert.equal(await store.notices.countWaiting(), 0);
  });

  for (const moment of ['before', 'after'] as const) {
    // Two notices: one is reserved, the other claimed; the list is written; the outcome; the other is settled.
    for (let write = 1; write <= 5; write += 1) {
      const step = write === 1 ? 'notices.replace' : `notices.replace ${write}`;
      it(`sends once when an agent dies ${moment} ${step}`, async () => {
        const all = await add(await claim(), 2);
        await assert.rejects(agent({ store: dyingStore(store, step, moment) }).sweep(signal), /died/);
        await agent({ store: otherStore }).sweep(signal);
        for (let round = 0; round < 4; round += 1) {
          clock.advance(ATTEMPT_LEASE_MS);
          await agent({ store: otherStore }).sweep(signal);
        }
        const mailed = all.map(({ queue }) => service.mails.filter(({ content }) => content.includes(queue)).length);
        assert.deepEqual(mailed, [1, 1]);
        for (const { id } of all) assert.equal((await store.notices.get(id))?.state, 'sent');
      });
    }
  }
}

/** What may happen to an agent at a call of the store. */
type Fate = 'goes on' | 'dies before' | 'dies after' | 'is suspended';

describe('the sending of notices about many queues by agents that die, or are suspended, at any step', () => {
  it('mails each notice once, in every history', async function () {
    this.timeout(120_000);
    const fate = fc.oneof(
      { weight: 12, arbitrary: fc.constant<Fate>('goes on') },
      { weight: 1, arbitrary: fc.constantFrom<Fate>('dies before', 'dies after', 'is suspended') },
    );
    await fc.assert(
      fc.asyncProperty(
        fc.scheduler(),
        fc.array(fc.nat({ max: 4 }), { minLength: 1, maxLength: 5 }),
        fc.array(fate, { minLength: 1, maxLength: 80 }),
        fc.array(fc.constantFrom<NoticeOutcome['is']>('sent', 'unavailable', 'misconfigured'), { maxLength: 6 }),
        playHistory,
      ),
      { numRuns: 300 },
    );
  });
});

async function playHistory(
  scheduler: fc.Scheduler,
  arrivals: readonly number[],
  fates: readonly Fate[],
  outcomes: readonly NoticeOutcome['is'][],
): Promise<void> {
  const store = createMemoryStore();
  const clock = createManualClock(1_800_000_000_000);
  const service = createService();
  store.put(recordOf(clock.nowMs(), { contact: OWNER }));
  const added: Notice[] = [];
  let step = 0;
  let isCalm = false;
  const suspended: (() => void)[] = [];

  /** An agent whose calls interleave with those of others, and which may die or stop for longer than a lease. */
  const createAgent = (): Notices => {
    let isDead = false;
    const die = (): never => {
      isDead = true;
      throw new Error('The agent has died.');
    };
    const flaky = interceptStore(store, async (_, call) => {
      if (isDead) die();
      if (isCalm) return await call();
      await scheduler.schedule(Promise.resolve());
      const fate = fates[(step += 1) % fates.length];
      if (fate === 'dies before') die();
      if (fate === 'is suspended') await new Promise<void>((resolve) => suspended.push(resolve));
      const result = await call();
      return fate === 'dies after' ? die() : result;
    });
    let calls = 0;
    const notifier: Notifier = {
      async send(message, during) {
        if (!isCalm) await scheduler.schedule(Promise.resolve());
        const outcome = isCalm ? 'sent' : outcomes[(calls += 1) % Math.max(outcomes.length, 1)];
        if (outcome === 'misconfigured') return { is: 'misconfigured', code: 'InsufficientScopes' };
        const result = await service.send(message, during);
        return outcome === 'unavailable' ? { is: 'unavailable', code: 'TimedOut', mayHaveArrived: true } : result;
      },
    };
    return senderOf({ store: flaky, clock, notifier });
  };

  const running: Promise<unknown>[] = [];
  for (const count of arrivals) {
    for (let one = 0; one < count; one += 1) {
      const id = `notice-${added.length}`;
      const queue = `queue/taskcluster-x/${id}.`;
      added.push(await store.notices.add(noticeOf(clock.nowMs(), { id, queue, nextAttemptMs: clock.nowMs() })));
    }
    const agents = [createAgent(), createAgent()];
    running.push(
      ...agents.map((agent) => agent.sweep(signal).catch((error: Error) => assert.match(error.message, /died/))),
    );
    await scheduler.waitIdle?.();
    while (scheduler.count() > 0) await scheduler.waitAll();
    clock.advance(ATTEMPT_LEASE_MS * 1.5);
  }
  // Those that were suspended go on, while an agent that works sends what is left.
  isCalm = true;
  const healthy = createAgent();
  for (let round = 0; round < 40; round += 1) {
    if (round % 2 === 0) suspended.shift()?.();
    await Promise.resolve();
    await healthy.sweep(signal);
    clock.advance(120_000);
  }
  for (const resume of suspended) resume();
  await Promise.all(running);
  await healthy.sweep(signal);
  for (const { id, queue } of added) {
    assert.equal((await store.notices.get(id))?.state, 'sent', id);
    const mails = service.mails.filter(({ content }) => content.includes(queue));
    assert.equal(mails.length, 1, `${queue} is in ${mails.length} mails`);
  }
}
