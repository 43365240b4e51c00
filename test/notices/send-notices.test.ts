import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { systemClock } from '../../src/util/clock.ts';
import { type LocalTaskcluster, startTaskcluster } from '../../dev/taskcluster/server.ts';
import { AgentError } from '../../src/util/agent-errors.ts';
import type { Notifier } from '../../src/notices/notifier.ts';
import { createTaskclusterNotifier } from '../../src/notices/taskcluster-notify.ts';
import { ATTEMPT_LEASE_MS, ABANDON_AFTER_MS } from '../../src/notices/decide-notice.ts';
import { createNoticeSender, type Notices, type NoticeSenderParts } from '../../src/notices/send-notices.ts';
import { Secret } from '../../src/util/secret.ts';
import type { Notice } from '../../src/store/notice-records.ts';
import { openStore } from '../../src/store/open-store.ts';
import type { NamespaceRecord } from '../../src/store/namespace-record.ts';
import type { Store } from '../../src/store/store.ts';
import { addCleanup } from '../support/cleanup.ts';
import { makeFolder, unique } from '../support/folders.ts';
import { createManualClock, type ManualClock } from '../support/manual-clock.ts';
import { mongoDatabase, useSharedMongoDB } from '../support/mongodb.ts';
import { noticeOf, recordOf } from '../support/records.ts';
import { dyingStore } from '../support/dying-store.ts';
import { interceptStore } from '../support/step-observer.ts';

const OWNER = 'owner@example.org';
const signal = new AbortController().signal;
// As the scheduler does for its jobs.
setMaxListeners(0, signal);

describe('the sending of notices', () => {
  describe('from LMDB', () => {
    suite(async () => {
      const store = await open(`lmdb:${makeFolder('notices')}`);
      return [store, store];
    });
  });

  describe('from MongoDB', function () {
    this.timeout(60_000);
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

function suite(makeStores: () => Promise<[Store, Store]>): void {
  let service: LocalTaskcluster;
  let clock: ManualClock;
  let store: Store;
  /** Another agent's access to the same store. */
  let otherStore: Store;
  let outcomes: Notice[];

  beforeEach(async () => {
    [store, otherStore] = await makeStores();
    service = await startTaskcluster({
      directory: {
        clients: [
          { clientId: 'pulse-agent', accessToken: randomBytes(20).toString('hex'), scopes: ['notify:email:*'] },
        ],
        mail: { denylisted: ['denylisted@example.org'], silent: ['silent@example.org'] },
      },
    });
    // Taskcluster compares it with its own clock.
    clock = createManualClock(Date.now());
    outcomes = [];
  });
  afterEach(() => service.close());

  const taskclusterNotifier = (): Notifier => {
    const { clientId, accessToken } = service.credentials('pulse-agent');
    return createTaskclusterNotifier({
      rootUrl: service.rootUrl,
      clientId,
      accessToken: new Secret(accessToken),
      clock: systemClock,
      timeoutMs: 500,
    });
  };
  const agent = (given: Partial<NoticeSenderParts> = {}): Notices =>
    createNoticeSender({
      store,
      notifier: taskclusterNotifier(),
      clock,
      config: { id: 'pulse-agent', surveyIntervalSeconds: 60 },
      reporters: { noticeFailing: async () => undefined, noticeAttempted },
      ...given,
    });
  const noticeAttempted = (notice: Notice): void => void outcomes.push(notice);
  /** A notice of a namespace that is active and has a contact. */
  const add = async (given: Partial<Notice> = {}, record: Partial<NamespaceRecord> = {}): Promise<Notice> => {
    const namespace = unique('taskcluster-x');
    const contact = given.contact ?? OWNER;
    await store.namespaces.insert(recordOf(clock.nowMs(), { namespace, revision: 1, contact, ...record }));
    return await store.notices.add(noticeOf(clock.nowMs(), { id: unique('notice'), namespace, contact, ...given }));
  };
  const stored = async ({ id }: Notice): Promise<Notice> => {
    const notice = await store.notices.get(id);
    assert.ok(notice !== undefined);
    return notice;
  };

  it('sends each notice once, and reports it', async () => {
    const notices = [await add(), await add({ kind: 'queue-deletion' }), await add({ kind: 'queue-recovered' })];
    const sender = agent();
    await sender.sweep(signal);
    await sender.sweep(signal);
    clock.advance(ABANDON_AFTER_MS);
    await sender.sweep(signal);
    const subjects = new Set(service.mails.map(({ subject }) => subject.split(':')[0]));
    for (const title of ['a queue is growing too large', 'a queue was deleted', 'a queue has recovered']) {
      assert.ok(subjects.has(`[Pulse] ${title}`), title);
    }
    assert.equal(service.calls.email, 3);
    for (const notice of notices) {
      const { state, attempts, settledMs } = await stored(notice);
      assert.deepEqual({ state, attempts }, { state: 'sent', attempts: 1 });
      assert.equal(settledMs, clock.nowMs() - ABANDON_AFTER_MS);
    }
    assert.deepEqual(
      outcomes.map(({ state }) => state),
      ['sent', 'sent', 'sent'],
    );
  });

  it('does not send a held notice before its release', async () => {
    const held = await add({ state: 'held' });
    await agent().sweep(signal);
    assert.equal(service.calls.email, 0);
    await store.notices.replace({ ...held, revision: 2, state: 'waiting' }, 1);
    await agent().sweep(signal);
    assert.equal(service.mails.length, 1);
  });

  it('sends each notice from one of two agents', async () => {
    const notices = await Promise.all(
      Array.from({ length: 30 }, (_, number) => add({ contact: `owner-${number}@example.org` })),
    );
    // A sweep may miss a notice that the other agent is writing; the next sweep, a second later, finds it.
    for (let sweeps = 0; sweeps < 2; sweeps += 1) {
      await Promise.all([agent().sweep(signal), agent({ store: otherStore }).sweep(signal)]);
    }
    assert.equal(service.calls.email, 30);
    assert.equal(service.mails.length, 30);
    for (const notice of notices) assert.equal((await stored(notice)).attempts, 1);
  });

  it('retries while the service fails or is down, and then sends once', async () => {
    const notice = await add();
    service.behave({ mode: 'failing' }, 'notify');
    await agent().sweep(signal);
    assert.equal((await stored(notice)).lastError, 'InternalServerError');
    await agent().sweep(signal);
    assert.equal(service.calls.email, 1);
    await service.refuseConnections();
    clock.advance(15_000);
    await agent().sweep(signal);
    assert.equal((await stored(notice)).lastError, 'ECONNREFUSED');
    await service.acceptConnections();
    service.behave({ mode: 'normal' }, 'notify');
    clock.advance(30_000);
    await agent().sweep(signal);
    assert.deepEqual(
      outcomes.map(({ state, attempts }) => [state, attempts]),
      [
        ['waiting', 1],
        ['waiting', 2],
        ['sent', 3],
      ],
    );
    assert.equal(service.mails.length, 1);
  });

  it('sends the notices of a queue in their order, however often the first one fails', async () => {
    const warning = await add();
    const { namespace, queue } = warning;
    const about = { namespace, queue, follows: warning.id } as const;
    service.behave({ mode: 'failing' }, 'notify');
    await agent().sweep(signal);
    const deletion = noticeOf(clock.nowMs(), { id: unique('notice'), kind: 'queue-deletion', ...about });
    await store.notices.add(deletion);
    service.behave({ mode: 'normal' }, 'notify');
    await agent().sweep(signal);
    assert.equal(service.mails.length, 0);
    assert.equal((await stored(deletion)).attempts, 0);
    clock.advance(15_000);
    await Promise.all([agent().sweep(signal), agent({ store: otherStore }).sweep(signal)]);
    assert.equal(service.mails.length, 1);
    clock.advance(2_000);
    await agent().sweep(signal);
    assert.deepEqual(
      service.mails.map(({ content }) => [warning, deletion].findIndex(({ id }) => content.includes(id))),
      [0, 1],
    );
    assert.deepEqual(
      outcomes.map(({ id, state }) => [id === warning.id ? 'warning' : 'deletion', state]),
      [
        ['warning', 'waiting'],
        ['warning', 'sent'],
        ['deletion', 'sent'],
      ],
    );
  });

  it('aborts an attempt that hangs, while it attempts all other notices', async () => {
    service.behave({ mode: 'hanging' }, 'notify');
    const notices = await Promise.all(
      Array.from({ length: 20 }, (_, number) => add({ contact: `owner-${number}@example.org` })),
    );
    await agent().sweep(signal);
    for (const notice of notices) assert.equal((await stored(notice)).lastError, 'TimedOut');
    service.behave({ mode: 'normal' }, 'notify');
    clock.advance(15_000);
    await agent().sweep(signal);
    assert.equal(service.mails.length, 20);
  });

  it('abandons a refused notice immediately', async () => {
    const notice = await add({ contact: 'denylisted@example.org' });
    await agent().sweep(signal);
    assert.equal((await stored(notice)).state, 'failed');
    assert.deepEqual(
      outcomes.map(({ state, lastError }) => [state, lastError]),
      [['failed', 'DenylistedAddress']],
    );
  });

  it('reports a failure before it is written, and again where the agent dies in between', async () => {
    const refused = await add({ contact: 'denylisted@example.org' });
    const tooOld = await add({ attempts: 1, seenMs: clock.nowMs() - ABANDON_AFTER_MS });
    const reported: string[] = [];
    const reporters = {
      noticeAttempted,
      async noticeFailing({ id }: Notice): Promise<void> {
        const { state } = await stored(id === refused.id ? refused : tooOld);
        reported.push(`${id} ${state}`);
      },
    };
    const dead = interceptStore(store, async (step, call) => {
      if (step === 'notices.replace' && reported.length > 0) throw new Error('The agent has died.');
      return await call();
    });
    await assert.rejects(agent({ store: dead, reporters }).sweep(signal), /died/);
    clock.advance(ATTEMPT_LEASE_MS);
    await agent({ store: otherStore, reporters }).sweep(signal);
    await agent({ store: otherStore, reporters }).sweep(signal);
    for (const notice of [refused, tooOld]) {
      assert.equal((await stored(notice)).state, 'failed');
      const times = reported.filter((line) => line === `${notice.id} waiting`).length;
      assert.ok(times >= 1, `${reported.join()} should name ${notice.id}`);
    }
    assert.ok(reported.length > 2, 'reported again');
    assert.ok(reported.every((line) => line.endsWith(' waiting')));
  });

  it('does not take for sent what Taskcluster drops silently, and reports the failure after a day', async () => {
    const notice = await add({ contact: 'silent@example.org' });
    await agent().sweep(signal);
    assert.equal((await stored(notice)).state, 'waiting');
    clock.advance(ABANDON_AFTER_MS);
    await agent().sweep(signal);
    assert.deepEqual(
      outcomes.map(({ state, lastError }) => [state, lastError]),
      [
        ['waiting', 'NotSent'],
        ['failed', 'NotSent'],
      ],
    );
  });

  it('sends to the current contact, and withdraws the notice once the contact was cleared', async () => {
    const moved = await add();
    const cleared = await add();
    const change = async ({ namespace }: Notice, contact: string | null): Promise<void> => {
      const record = await store.namespaces.get(namespace);
      assert.ok(record !== undefined);
      await store.namespaces.replace({ ...record, revision: record.revision + 1, contact }, record.revision);
    };
    await change(moved, 'new@example.org');
    await change(cleared, null);
    await agent().sweep(signal);
    assert.deepEqual(
      service.mails.map(({ address }) => address),
      ['new@example.org'],
    );
    assert.equal((await stored(cleared)).state, 'withdrawn');
  });

  it('sends the notice of a deletion after the namespace was deleted, and no other', async () => {
    const ended = { state: 'deleted', deletedAtMs: clock.nowMs(), deletionReason: 'released' } as const;
    const deletion = await add({ kind: 'queue-deletion' }, ended);
    const warning = await add({ kind: 'queue-warning' }, ended);
    const stranger = await add({}, { incarnation: 'another', contact: 'stranger@example.org' });
    await agent().sweep(signal);
    assert.deepEqual(
      service.mails.map(({ address }) => address),
      [OWNER],
    );
    assert.equal((await stored(deletion)).state, 'sent');
    for (const notice of [warning, stranger]) assert.equal((await stored(notice)).state, 'withdrawn');
  });

  for (const [moment, step] of [
    ['before', 'notices.replace'],
    ['after', 'notices.replace'],
    ['before', 'notices.replace 2'],
    ['after', 'notices.replace 2'],
  ] as const) {
    it(`sends once when an agent dies ${moment} ${step}`, async () => {
      const notice = await add();
      await assert.rejects(agent({ store: dyingStore(store, step, moment) }).sweep(signal), /died/);
      // The attempt may still be running: another agent must not send the notice yet.
      await agent({ store: otherStore }).sweep(signal);
      assert.ok(service.mails.length <= 1);
      clock.advance(ATTEMPT_LEASE_MS);
      await agent({ store: otherStore }).sweep(signal);
      assert.equal(service.mails.length, 1);
      assert.equal((await stored(notice)).state, 'sent');
    });
  }

  it('writes that a mail was sent once the store is back, without sending it again', async () => {
    const notice = await add();
    let isDown = false;
    let replaced = 0;
    const failing = interceptStore(store, async (step, call) => {
      if (step === 'notices.replace' && (replaced += 1) === 2) isDown = true;
      if (isDown) throw new AgentError('StoreUnavailable', 'The store is down.');
      return await call();
    });
    const sender = agent({ store: failing });
    await assert.rejects(sender.sweep(signal), { code: 'StoreUnavailable' });
    assert.equal(service.calls.email, 1);
    assert.equal((await stored(notice)).inProgress, true);
    isDown = false;
    await sender.sweep(signal);
    assert.equal((await stored(notice)).state, 'sent');
    assert.equal(service.calls.email, 1);
    assert.deepEqual(
      outcomes.map(({ state }) => state),
      ['sent'],
    );
  });

  it('keeps the outcome of an agent that was suspended while it sent, although another agent took over', async () => {
    const notice = await add();
    const slow: Notifier = {
      async send(mail, during) {
        const outcome = await taskclusterNotifier().send(mail, during);
        clock.advance(ATTEMPT_LEASE_MS);
        // The other agent's attempt fails: the outcome of the suspended agent counts.
        service.behave({ mode: 'failing' }, 'notify');
        await agent({ store: otherStore }).sweep(signal);
        return outcome;
      },
    };
    await agent({ notifier: slow }).sweep(signal);
    assert.deepEqual([service.mails.length, service.calls.email], [1, 2]);
    const { state, attempts } = await stored(notice);
    assert.deepEqual({ state, attempts }, { state: 'sent', attempts: 2 });
  });

  it('stops with the agent, and leaves the rest to the next one', async () => {
    service.behave({ mode: 'hanging' }, 'notify');
    await Promise.all(Array.from({ length: 12 }, (_, number) => add({ contact: `owner-${number}@example.org` })));
    const stopping = new AbortController();
    const notifier: Notifier = {
      async send(mail, during) {
        stopping.abort(new Error('The agent stops.'));
        return await taskclusterNotifier().send(mail, during);
      },
    };
    await assert.rejects(agent({ notifier }).sweep(stopping.signal), /The agent stops/);
    service.behave({ mode: 'normal' }, 'notify');
    clock.advance(ATTEMPT_LEASE_MS);
    await agent().sweep(signal);
    assert.equal(service.mails.length, 12);
  });
}
