import assert from 'node:assert/strict';
import { createOutages } from '../../src/observe/outages.ts';

describe('the outages of parts', () => {
  it('end when the part has worked for five seconds, with their length until then', () => {
    const outages = createOutages();
    outages.begin('requests', 1_000);
    outages.begin('requests', 2_000);
    assert.equal(outages.checked('requests', false, 50_000), undefined);
    assert.equal(outages.checked('requests', true, 109_000), undefined);
    assert.ok(outages.isDown('requests'));
    const ended = outages.checked('requests', true, 114_000);
    assert.deepEqual(ended, { part: 'requests', seconds: 108, losses: { jobs: {}, namespaces: 0, events: {} } });
    assert.ok(!outages.any);
    assert.equal(outages.checked('requests', true, 115_000), undefined);
  });

  it('are one where the part comes and goes', () => {
    const outages = createOutages();
    outages.begin('replies', 0);
    for (let nowMs = 0; nowMs < 60_000; nowMs += 4_000) {
      assert.equal(outages.checked('replies', true, nowMs), undefined);
      assert.equal(outages.checked('replies', false, nowMs + 2_000), undefined);
    }
    assert.equal(outages.checked('replies', true, 60_000), undefined);
    assert.equal(outages.checked('replies', true, 65_000)?.seconds, 60);
  });

  it('count what failed meanwhile', () => {
    const outages = createOutages();
    outages.begin('management', 0);
    outages.begin('topology', 0);
    for (const namespace of ['a', 'b', 'a']) {
      outages.count('management', { code: 'namespace_work_failed', fields: { namespace } });
    }
    for (const job of ['survey-queues', 'reconcile-broker', 'survey-queues']) {
      outages.count('management', { code: 'job_failed', fields: { job } });
    }
    outages.count('topology', { code: 'event_not_published', fields: { event: { type: 'queue.warning' } } });
    outages.count('topology', { code: 'event_not_published', fields: {} });
    const end = (part: 'management' | 'topology') => [0, 9_000].map((ms) => outages.checked(part, true, ms))[1]?.losses;
    assert.deepEqual(end('management'), {
      jobs: { 'survey-queues': 2, 'reconcile-broker': 1 },
      namespaces: 2,
      events: {},
    });
    assert.deepEqual(end('topology'), { jobs: {}, namespaces: 0, events: { 'queue.warning': 1, unknown: 1 } });
  });

  it('have one summary each minute, of all parts, with the lines since the last one', () => {
    const outages = createOutages();
    assert.equal(outages.summaryDue(1_000_000), undefined);
    outages.begin('requests', 1_000_000);
    outages.begin('replies', 1_030_000);
    for (let line = 0; line < 3; line += 1) outages.count('replies', { code: 'reply_connection_error', fields: {} });
    assert.equal(outages.summaryDue(1_059_999), undefined);
    assert.deepEqual(outages.summaryDue(1_060_000), {
      parts: { requests: 60, replies: 30 },
      suppressed: { reply_connection_error: 3 },
    });
    assert.equal(outages.summaryDue(1_119_999), undefined);
    assert.deepEqual(outages.summaryDue(1_120_000)?.suppressed, {});
  });
});
