import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { emailSchema } from '../../dev/taskcluster/email.ts';
import { mailOf } from '../../src/notices/notice-mail.ts';
import type { NoticeKind } from '../../src/store/notice-records.ts';
import { noticeOf } from '../support/records.ts';

const NOW_MS = Date.parse('2026-11-24T12:34:56.789Z');
const SETTINGS = { agentId: 'pulse-agent', surveyIntervalSeconds: 60 };
const KINDS: readonly NoticeKind[] = ['queue-warning', 'queue-deletion', 'queue-recovered'];

describe('the mail to an owner', () => {
  it('of a warning says which queue, how deep, what happens when, and how to stop it', () => {
    const { address, subject, content } = mailOf(noticeOf(NOW_MS), SETTINGS);
    assert.equal(address, 'owner@example.org');
    assert.equal(subject, '[Pulse] a queue grows too large: queue/taskcluster-x/jobs');
    for (const text of [
      'The queue `queue/taskcluster-x/jobs` held **4,321 messages** at 2026-11-24 12:34:56 UTC.',
      'From 8,000 messages on it is **deleted, with all that is in it**',
      'looked at every 60 seconds or more often',
      'Warnings begin at 4,000.',
      'see that its consumers run',
      'fewer than 2,000',
      '`"contact": null`',
      'notice `notice`',
    ]) {
      assert.ok(content.includes(text), `${text}\nis missing in\n${content}`);
    }
  });

  it('of a deletion and of a recovery says so', () => {
    const deleted = mailOf(noticeOf(NOW_MS, { kind: 'queue-deletion', messages: 9000 }), SETTINGS);
    assert.equal(deleted.subject, '[Pulse] a queue was deleted: queue/taskcluster-x/jobs');
    assert.ok(deleted.content.includes('held **9,000 messages**'), deleted.content);
    assert.ok(deleted.content.includes('It may be declared anew.'), deleted.content);
    const recovered = mailOf(noticeOf(NOW_MS, { kind: 'queue-recovered', messages: 12 }), SETTINGS);
    assert.equal(recovered.subject, '[Pulse] a queue is small again: queue/taskcluster-x/jobs');
    assert.ok(recovered.content.includes('held 12 messages'), recovered.content);
  });

  it('is the same for every attempt, and another one for every notice', () => {
    const first = noticeOf(NOW_MS);
    const later = { ...first, revision: 9, attempts: 4, lastError: 'TimedOut', nextAttemptMs: NOW_MS * 2 };
    assert.deepEqual(mailOf(later, SETTINGS), mailOf(first, SETTINGS));
    assert.notDeepEqual(mailOf({ ...first, id: 'another' }, SETTINGS), mailOf(first, SETTINGS));
  });

  it('shows what is in a name and does nothing of it', () => {
    const shown = (name: string): string => {
      const { content } = mailOf(noticeOf(NOW_MS, { queue: `queue/taskcluster-x/${name}` }), SETTINGS);
      return /queue\/taskcluster-x\/(.*?)` held/.exec(content)?.[1] ?? 'nothing';
    };
    assert.equal(shown('jobs-v1_Ünï ✓ 🐇'), 'jobs-v1_Ünï ✓ 🐇');
    assert.equal(shown('a`b'), 'a\\u{60}b');
    assert.equal(shown('a\r\nBcc: x@example.org\n\n# big'), 'a\\u{d}\\u{a}Bcc: x@example.org\\u{a}\\u{a}# big');
    assert.equal(shown('[here](https://evil.example)'), '[here](https:/\\u{2f}evil.example)');
    assert.equal(shown('WWW.evil.example'), 'WWW\\u{2e}evil.example');
    assert.equal(shown('<img src=x>&amp;'), '\\u{3c}img src=x\\u{3e}\\u{26}amp;');
    assert.equal(shown('\u202egnp.exe\u200b\u00a0 '), '\\u{202e}gnp.exe\\u{200b}\\u{a0}\\u{20}');
    assert.equal(shown('back\\u{60}slash'), 'back\\u{5c}u{60}slash');
  });

  it('is one that Taskcluster takes, with nothing but letters of the name in a code span, whatever the name is', () => {
    const names = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 255 }),
      fc.string({ unit: fc.constantFrom('`', '\n', ' ', '<', '://', 'www.', '](', '*', '_', '\u0000', 'a', '|') }),
      fc.constant('x'.repeat(255)),
      fc.constant('\u0001'.repeat(255)),
    );
    fc.assert(
      fc.property(names, fc.constantFrom(...KINDS), (name, kind) => {
        const queue = `queue/taskcluster-x/${name}`;
        const mail = mailOf(noticeOf(NOW_MS, { kind, queue }), SETTINGS);
        emailSchema.parse(mail);
        assert.match(mail.subject, /^[^\p{C}\p{Zl}\p{Zp}]+$/u);
        const plain = mailOf(noticeOf(NOW_MS, { kind, queue: 'queue/taskcluster-x/plain' }), SETTINGS);
        const ours = (content: string): string => content.replaceAll(/`queue\/taskcluster-x\/[^`\n]*`/g, '`…`');
        // Outside of the one code span the name changes nothing, and inside there is no end of it.
        assert.equal(ours(mail.content), ours(plain.content));
        const inside = /`(queue\/taskcluster-x\/[^`\n]*)`/.exec(mail.content)?.[1] ?? '';
        assert.doesNotMatch(inside, /[<>&]|:\/\/|www\.|[\p{C}\p{Zl}\p{Zp}]/iu);
      }),
      { numRuns: 500 },
    );
  });
});
