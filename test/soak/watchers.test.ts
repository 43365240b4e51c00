import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { foreignChange } from '../../soak/broker-event-watch.ts';
import { Figures } from '../../soak/figures.ts';
import { Ledger } from '../../soak/ledger.ts';
import { leftovers, ofAccount, ofObject } from '../../soak/leftover-watch.ts';
import { logAround } from '../../soak/log-watch.ts';
import { readNotice, repeatedNotice, type SeenNotice } from '../../soak/notice-watch.ts';
import { createSecretScan } from '../../soak/secret-scan.ts';
import type { Violation } from '../../soak/violation.ts';
import { noticeMessage } from '../../src/notices/notice-message.ts';
import type { Notice } from '../../src/store/notice-records.ts';
import { newNotice } from '../../src/notices/decide-notice.ts';
import { addCleanup } from '../support/cleanup.ts';

describe('the watchers of the soak', () => {
  it('see what the agent changes outside of its prefixes', () => {
    const by = { user_who_performed_action: 'soak-agent', vhost: '/' };
    const change = (type: string, headers: object) => foreignChange({ type, headers: { ...by, ...headers } });
    assert.equal(change('queue.deleted', { name: 'foreign/queue' }), 'queue.deleted of foreign/queue');
    assert.equal(change('queue.deleted', { name: 'queue/taskcluster-a/b' }), undefined);
    assert.equal(
      change('exchange.deleted', { name: 'exchange/taskclusters/b' }),
      'exchange.deleted of exchange/taskclusters/b',
    );
    assert.equal(change('user.deleted', { name: 'taskcluster-a' }), 'user.deleted of taskcluster-a');
    assert.equal(change('user.created', { name: 'taskcluster-a-2' }), undefined);
    assert.equal(change('user.created', { name: 'pulse-soak-claimant' }), undefined);
    assert.equal(change('permission.created', { user: 'foreign-tenant' }), 'permission.created of foreign-tenant');
    const binding = { source_name: 'foreign/exchange', destination_name: 'foreign/queue' };
    assert.equal(change('binding.deleted', binding), 'binding.deleted of foreign/exchange, foreign/queue');
    assert.equal(change('queue.deleted', { name: 'any', user_who_performed_action: 'somebody' }), undefined);
  });

  it('find what belongs to no namespace before and after a listing', () => {
    const all = [
      { namespace: 'taskcluster-gone', what: 'account taskcluster-gone-1' },
      { namespace: 'taskcluster-new', what: 'account taskcluster-new-1' },
      { namespace: 'taskcluster-ended', what: 'queue queue/taskcluster-ended/a' },
    ];
    const found = leftovers(all, new Set(['taskcluster-ended']), new Set(['taskcluster-new']));
    assert.deepEqual(
      found.map(({ what }) => what),
      ['account taskcluster-gone-1'],
    );
  });

  it('know the namespace of a name, and of no name that only looks like one', () => {
    assert.equal(ofAccount('taskcluster-a-1'), 'taskcluster-a');
    assert.equal(ofAccount('taskcluster-a'), undefined);
    assert.equal(ofObject('queue/taskcluster-a/b/c'), 'taskcluster-a');
    assert.equal(ofObject('queue/other/b'), undefined);
    assert.equal(ofObject('foreign/queue/taskcluster-a/b'), undefined);
  });

  it('read the notices that the agent mails, and find one that comes twice', () => {
    const content = {
      id: 'an-id',
      kind: 'queue-deletion',
      namespace: 'taskcluster-a',
      incarnation: 'i',
      queue: 'queue/taskcluster-a/flood-1',
      contact: 'owner@example.com',
      messages: 500,
      warnAtMessages: 200,
      deleteAtMessages: 400,
      seenMs: 0,
    } as const;
    const config = { id: 'pulse-soak', surveyIntervalSeconds: 15 };
    const read = (notice: Notice): SeenNotice => {
      const mail = noticeMessage(notice, config);
      assert.ok(mail?.medium === 'mail');
      return readNotice(mail);
    };
    const deletion = read(newNotice(content));
    assert.deepEqual(deletion, { id: 'an-id', kind: 'deletion', queues: [content.queue], more: 0 });
    const warning = read(newNotice({ ...content, id: 'other', kind: 'queue-warning' }));
    assert.equal(repeatedNotice([deletion, warning]), undefined);
    assert.equal(repeatedNotice([deletion, warning, { ...deletion, queues: ['another'] }])?.id, 'an-id');
    assert.equal(repeatedNotice([deletion, warning, { ...warning, id: 'new' }])?.id, 'new');
  });

  it('find secrets in texts', () => {
    const ledger = new Ledger(0);
    const password = 'A'.repeat(43);
    ledger.handedOut({ namespace: 'taskcluster-a', username: 'taskcluster-a-1', password, reclaimMs: 0 }, 0);
    const found: string[] = [];
    const scan = createSecretScan(['the agent secret'], ledger, ({ message }: Violation) => found.push(message));
    scan.check(`{"msg":"${'B'.repeat(43)} ${password}x"}`, 'A log');
    assert.deepEqual(found, []);
    scan.check(`{"url":"amqp://u:${password}@h"}`, 'A log');
    scan.check('this is the agent secret.', 'An event');
    assert.deepEqual(found, ['secrets: A log holds a password of taskcluster-a.', 'secrets: An event holds a secret.']);
  });

  it('show what an agent logged about the subject of a violation, and what went wrong around it', () => {
    const folder = mkdtempSync(join(tmpdir(), 'pulse-soak-'));
    addCleanup(() => rmSync(folder, { recursive: true }));
    const line = (level: string, at: string, msg: string): string =>
      JSON.stringify({ level, time: `2026-11-24T12:${at}.000Z`, code: 'any', msg });
    const lines = {
      aboutIt: line('info', '00:30', 'taskcluster-a rotated'),
      other: line('info', '01:30', 'taskcluster-b rotated'),
      trouble: line('warn', '01:25', 'the store is late'),
      earlier: line('error', '00:10', 'the broker is gone'),
    };
    const file = join(folder, 'agent.log');
    writeFileSync(file, `${Object.values(lines).join('\n')}\nno JSON\n`);
    const found = logAround(file, Date.parse('2026-11-24T12:01:30Z'), ['taskcluster-a'], 15_000);
    assert.deepEqual(found, [lines.aboutIt, lines.trouble]);
  });

  it('count the longest time without a served claim', () => {
    const figures = new Figures();
    for (const atMs of [1_000, 1_500, 9_000, 9_100]) figures.served(atMs);
    assert.deepEqual(figures.longestGap, { ms: 7_500, endedMs: 9_000 });
    figures.gapUntil(20_000);
    assert.equal(figures.longestGap.ms, 10_900);
    assert.equal(figures.of('claims served'), 4);
    assert.deepEqual(figures.missing(['claims served', 'faults']), ['faults']);
  });
});
