import assert from 'node:assert/strict';
import { createOutageLog, type OutageLog } from '../../src/observe/outage-log.ts';
import { AgentError } from '../../src/util/agent-errors.ts';
import { createLog } from '../../src/util/log.ts';
import { addCleanup } from '../support/cleanup.ts';
import { createTestLog, type LogLine, type TestLog } from '../support/test-log.ts';

interface Room extends TestLog, OutageLog {
  /** What has been logged at info and above. */
  readonly shown: () => LogLine[];
  /** The time of the clock moves by this many seconds. */
  readonly pass: (seconds: number) => void;
}

function makeRoom(): Room {
  const testLog = createTestLog();
  let nowMs = 0;
  const outages = createOutageLog(createLog({ id: 'a', logLevel: 'debug' }, testLog), { monotonicMs: () => nowMs });
  addCleanup(() => outages.close());
  return {
    ...testLog,
    ...outages,
    shown: () => testLog.lines.map((line) => JSON.parse(line) as LogLine).filter(({ level }) => level !== 'debug'),
    pass: (seconds) => (nowMs += seconds * 1000),
  };
}

const codes = (lines: readonly LogLine[]): string[] => lines.map(({ code }) => code);
const away = new AgentError('BrokerUnavailable', 'Away.');

describe('the log of an agent in an outage', () => {
  it('has one line when a connection goes and one when it is back, and the rest at debug', async () => {
    const { log, watch, lines, shown, pass, logged } = makeRoom();
    let works = false;
    watch('requests', () => works);
    log.warn({ code: 'request_connection_lost', err: away }, 'lost');
    for (let attempt = 0; attempt < 100; attempt += 1)
      log.warn({ code: 'request_connection_error', err: away }, 'error');
    assert.deepEqual(codes(shown()), ['part_down']);
    const [down] = shown();
    assert.equal(down?.['part'], 'requests');
    assert.equal(down?.['because'], 'request_connection_lost');
    assert.equal((down?.['err'] as { code: string } | undefined)?.code, 'BrokerUnavailable');
    assert.equal(lines.length, 102);
    pass(60);
    const { parts, suppressed } = await logged('outage_continues');
    assert.deepEqual(parts, { requests: 60 });
    assert.deepEqual(suppressed, { request_connection_error: 100 });
    works = true;
    await logged('outage_continues');
    // The checks are a second apart in real time; their clock is the test's.
    const moving = setInterval(() => pass(1), 100);
    addCleanup(() => clearInterval(moving));
    const up = await logged('part_up', { part: 'requests' });
    assert.equal(up.level, 'info');
    assert.ok(Number(up['seconds']) >= 60);
    assert.deepEqual(codes(shown()), ['part_down', 'outage_continues', 'part_up']);
  });

  it('has every line of a part that works, or of which nothing is known', () => {
    const { log, watch, shown } = makeRoom();
    watch('topology', () => true);
    log.error({ code: 'event_not_published', err: away }, 'the broker refused it');
    log.warn({ code: 'request_connection_error', err: away }, 'not watched');
    log.warn({ code: 'account_repaired' }, 'no failure');
    log.error({ code: 'http_request_failed', err: new Error('Another.') }, 'no part');
    assert.deepEqual(codes(shown()), [
      'event_not_published',
      'request_connection_error',
      'account_repaired',
      'http_request_failed',
    ]);
  });

  it('takes a connection that reports an error for lost, whatever it says of itself at that moment', () => {
    const { log, watch, shown } = makeRoom();
    watch('replies', () => true);
    log.warn({ code: 'reply_connection_error', err: away }, 'error');
    log.warn({ code: 'reply_connection_lost', err: away, unconfirmed: 2 }, 'lost');
    assert.deepEqual(codes(shown()), ['part_down']);
  });

  it('asks a part once while its answer is awaited, and leaves no rejection that ends the process', async () => {
    const { log, watch, logged } = makeRoom();
    const unhandled: unknown[] = [];
    const onUnhandled = (reason: unknown): void => void unhandled.push(reason);
    process.on('unhandledRejection', onUnhandled);
    addCleanup(() => void process.off('unhandledRejection', onUnhandled));
    const answers: ((error: Error) => void)[] = [];
    watch('management', () => new Promise((_, reject) => answers.push(reject)));
    for (let line = 0; line < 3; line += 1) log.warn({ code: 'replicas_unknown', err: away }, 'failed');
    for (const answer of answers) answer(away);
    await logged('part_down', { part: 'management' });
    // Node reports rejections when the microtasks are done.
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual([answers.length, unhandled], [1, []]);
  });

  it('asks a part that takes time to answer, and has its lines until the answer', async () => {
    const { log, watch, shown, logged } = makeRoom();
    watch('store', () => Promise.reject(new Error('gone')));
    const fault = new AgentError('StoreUnavailable', 'Gone.');
    log.warn({ code: 'job_failed', err: fault, job: 'prune' }, 'failed');
    log.error({ code: 'request_failed', err: fault }, 'failed');
    const down = await logged('part_down', { part: 'store', because: 'job_failed', job: 'prune' });
    assert.equal(down.level, 'warn');
    log.warn({ code: 'job_failed', err: fault, job: 'prune' }, 'failed');
    log.error({ code: 'request_failed', err: fault }, 'an answer to a client is always logged');
    assert.deepEqual(codes(shown()), ['job_failed', 'request_failed', 'part_down', 'request_failed']);
  });

  it('notices the outage of a store by the polls of the scheduler', async () => {
    const { log, watch, logged } = makeRoom();
    watch('store', () => Promise.reject(new Error('gone')));
    log.warn({ code: 'scheduler_error', reason: 'MongoNetworkError' }, 'job scheduler error');
    await logged('part_down', { part: 'store', because: 'scheduler_error', reason: 'MongoNetworkError' });
  });

  it('blames the management API only when it does not answer', async () => {
    const { log, watch, shown } = makeRoom();
    const asked = new Promise<void>((resolve) => {
      watch('management', async () => resolve());
    });
    log.warn({ code: 'namespace_work_failed', err: away, namespace: 'a' }, 'failed');
    await asked;
    await new Promise((resolve) => setImmediate(resolve));
    log.warn({ code: 'namespace_work_failed', err: away, namespace: 'b' }, 'failed');
    assert.deepEqual(codes(shown()), ['namespace_work_failed', 'namespace_work_failed']);
  });

  it('leaves what fails on AMQP to the outage of the topology', () => {
    const { log, watch, shown } = makeRoom();
    watch('topology', () => false);
    watch('management', async () => undefined);
    log.error({ code: 'event_not_published', err: away, event: { type: 'queue.warning' } }, 'lost');
    log.warn({ code: 'inspection_failed', err: away }, 'failed');
    assert.deepEqual(codes(shown()), ['part_down']);
  });
});
