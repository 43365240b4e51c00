import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { emailSchema } from '../../dev/taskcluster/email.ts';
import { NOTICE_KINDS, type NoticeKind } from '../../src/contract/notice-kinds.ts';
import { startBatch } from '../../src/notices/gather-notices.ts';
import { noticeMessage } from '../../src/notices/notice-message.ts';
import type { Mail, MatrixMessage, SlackMessage } from '../../src/notices/notifier.ts';
import type { Notice } from '../../src/store/notice-records.ts';
import { noticeOf } from '../support/records.ts';

const NOW_MS = Date.parse('2026-11-24T12:34:56.789Z');
const CONFIG = { id: 'pulse-agent', surveyIntervalSeconds: 60 };
const KINDS = NOTICE_KINDS;

function mailOf(notice: Notice, config = CONFIG): Mail {
  const message = noticeMessage(notice, config);
  assert.ok(message?.medium === 'mail');
  return message;
}

function matrixOf(notice: Notice): MatrixMessage {
  const message = noticeMessage({ ...notice, contact: 'matrix:!room:example.org' }, CONFIG);
  assert.ok(message?.medium === 'matrix');
  return message;
}

function slackOf(notice: Notice): SlackMessage {
  const message = noticeMessage({ ...notice, contact: 'slack:C0123' }, CONFIG);
  assert.ok(message?.medium === 'slack');
  return message;
}

describe('the mail to an owner', () => {
  it('of a warning states the queue, its depth, what happens at which depth, and how to prevent it', () => {
    const { address, subject, content } = mailOf(noticeOf(NOW_MS), CONFIG);
    assert.equal(address, 'owner@example.org');
    assert.equal(subject, '[Pulse] a queue is growing too large: queue/taskcluster-x/jobs');
    for (const text of [
      'The queue `queue/taskcluster-x/jobs` held **4,321 messages** at 2026-11-24 12:34:56 UTC.',
      'If it reaches 8,000 messages, it is **deleted with all its messages**',
      'checked at least every 60 seconds',
      'Owners are warned at 4,000 messages.',
      'check that its consumers run',
      'fewer than 2,000',
      '`"contact": null`',
      'notice `notice`',
    ]) {
      assert.ok(content.includes(text), `${text}\nis missing in\n${content}`);
    }
  });

  it('of a deletion and of a recovery states them', () => {
    const deleted = mailOf(noticeOf(NOW_MS, { kind: 'queue-deletion', messages: 9000 }), CONFIG);
    assert.equal(deleted.subject, '[Pulse] a queue was deleted: queue/taskcluster-x/jobs');
    assert.ok(deleted.content.includes('held **9,000 messages**'), deleted.content);
    assert.ok(deleted.content.includes('You can declare it again.'), deleted.content);
    const recovered = mailOf(noticeOf(NOW_MS, { kind: 'queue-recovered', messages: 12 }), CONFIG);
    assert.equal(recovered.subject, '[Pulse] a queue has recovered: queue/taskcluster-x/jobs');
    assert.ok(recovered.content.includes('held 12 messages'), recovered.content);
  });

  it('of a purge says what was lost, and of a queue that is left that it stays', () => {
    const rule = { onOvergrown: 'purge', messages: 9000, bytes: 2 ** 20 } as const;
    const purged = mailOf(noticeOf(NOW_MS, { ...rule, kind: 'queue-purge', oldestMs: NOW_MS - 3_600_000 }));
    assert.equal(purged.subject, '[Pulse] a queue was purged: queue/taskcluster-x/jobs');
    assert.ok(purged.content.includes('held **9,000 ready messages** of 1 MiB altogether at'), purged.content);
    assert.ok(purged.content.includes('The oldest of them was published at 2026-11-24 11:34:56 UTC.'), purged.content);
    const unknown = mailOf(noticeOf(NOW_MS, { ...rule, kind: 'queue-purge' })).content;
    assert.ok(unknown.includes('RabbitMQ does not say how old they were.'), unknown);
    const left = mailOf(noticeOf(NOW_MS, { onOvergrown: 'leave', kind: 'queue-left', messages: 9000 }));
    assert.equal(left.subject, '[Pulse] a queue is far too large: queue/taskcluster-x/jobs');
    assert.ok(left.content.includes('Its limit is 8,000 messages.'), left.content);
    for (const [onOvergrown, warning, recovered] of [
      ['purge', /it is \*\*purged of all its ready messages\*\*/, /At 8,000 messages a queue is purged\./],
      ['leave', /it is reported again, and stays\./, /At 8,000 messages a queue is reported as far too large\./],
    ] as const) {
      assert.match(mailOf(noticeOf(NOW_MS, { onOvergrown })).content, warning);
      assert.match(mailOf(noticeOf(NOW_MS, { onOvergrown, kind: 'queue-recovered' })).content, recovered);
    }
  });

  it('of a warning states when the queue is deleted at its rate, or that this is not known', () => {
    const says = (given: Partial<Notice>): string => mailOf(noticeOf(NOW_MS, given)).content;
    const forecast = { unit: 'messages', perMinute: 1234.4, reachedMs: NOW_MS + 180_000 } as const;
    assert.match(says({ forecast }), /about 1,234 messages a minute\. .* deleted at about 2026-11-24 12:37:56 UTC\./);
    assert.match(says({ forecast: { ...forecast, perMinute: 0.2 } }), /grew by less than one message a minute/);
    const bytes = { ...forecast, unit: 'bytes', perMinute: 3 * 2 ** 20 } as const;
    assert.match(says({ forecast: bytes }), /grew by about 3 MiB a minute/);
    assert.match(says({ forecast: { ...forecast, perMinute: 1.2 } }), /grew by about 1 message a minute/);
    assert.match(says({ forecast: { ...forecast, perMinute: 0, reachedMs: null } }), /It hardly grew then/);
    assert.match(says({ forecast: { ...forecast, perMinute: -3, reachedMs: null } }), /It was being drained then/);
    assert.match(says({}), /How fast it grew was not known yet/);
    assert.match(says({ messages: 8000, forecast }), /It has reached that already/);
    const large = { bytes: 2 ** 31, warnAtBytes: 2 ** 30, deleteAtBytes: 2 ** 31 };
    assert.match(says({ ...large, forecast }), /It has reached that already/);
  });

  it('of a recovery states how far the queue was drained, where that is known', () => {
    const says = (given: Partial<Notice>): string =>
      mailOf(noticeOf(NOW_MS, { kind: 'queue-recovered', messages: 12, ...given })).content;
    assert.match(says({ peakMessages: 7800 }), /drained by 99 percent: .* held up to 7,800 messages\./);
    assert.match(says({ peakMessages: 7800, peakBytes: 2 ** 30, bytes: 100 }), /up to 7,800 messages and 1 GiB\./);
    assert.match(says({ messages: 0, peakMessages: 7800 }), /drained by 100 percent/);
    assert.doesNotMatch(says({}), /drained/);
  });

  it('states sizes where they are known, and thresholds in bytes where there are some', () => {
    const sizes = { bytes: 1.55 * 2 ** 30, warnAtBytes: 2 ** 30, deleteAtBytes: 2 ** 31 };
    const of = (kind: NoticeKind, given = sizes as object) =>
      mailOf(noticeOf(NOW_MS, { kind, ...given }), CONFIG).content;
    const warning = of('queue-warning');
    for (const text of [
      'held **4,321 messages** of 1.5 GiB altogether at',
      'warned at 4,000 messages or 1 GiB.',
      'If it reaches 8,000 messages or 2 GiB, it is',
      'when it holds fewer than 2,000 messages and less than 512 MiB or when',
    ]) {
      assert.ok(warning.includes(text), `${text}\nis missing in\n${warning}`);
    }
    assert.match(of('queue-deletion'), /\*\* of 1\.5 GiB altogether at .*deleted at 8,000 messages or 2 GiB, so/);
    assert.match(of('queue-recovered'), /That is fewer than 2,000 and less than 512 MiB, so/);
    assert.match(of('queue-warning', { ...sizes, bytes: null }), /\*\*4,321 messages\*\* at/);
  });

  it('is the same for every attempt, and differs for every notice', () => {
    const first = noticeOf(NOW_MS);
    const later = { ...first, revision: 9, attempts: 4, lastError: 'TimedOut', nextAttemptMs: NOW_MS * 2 };
    assert.deepEqual(mailOf(later, CONFIG), mailOf(first, CONFIG));
    assert.notDeepEqual(mailOf({ ...first, id: 'another' }, CONFIG), mailOf(first, CONFIG));
  });

  it('shows the characters of a name without their effect', () => {
    const shown = (name: string): string => {
      const { content } = mailOf(noticeOf(NOW_MS, { queue: `queue/taskcluster-x/${name}` }), CONFIG);
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

  it('is accepted by Taskcluster, with a name of any characters inside one code span', () => {
    const names = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 255 }),
      fc.string({ unit: fc.constantFrom('`', '\n', ' ', '<', '://', 'www.', '](', '*', '_', '\u0000', 'a', '|') }),
      fc.constant('x'.repeat(255)),
      fc.constant('\u0001'.repeat(255)),
    );
    fc.assert(
      fc.property(names, fc.constantFrom(...KINDS), (name, kind) => {
        const queue = `queue/taskcluster-x/${name}`;
        const mail = mailOf(noticeOf(NOW_MS, { kind, queue }), CONFIG);
        const { medium: _, ...sent } = mail;
        emailSchema.parse(sent);
        assert.match(mail.subject, /^[^\p{C}\p{Zl}\p{Zp}]+$/u);
        const plain = mailOf(noticeOf(NOW_MS, { kind, queue: 'queue/taskcluster-x/plain' }), CONFIG);
        const ours = (content: string): string => content.replaceAll(/`queue\/taskcluster-x\/[^`\n]*`/g, '`…`');
        // The name changes nothing outside of the code span, and cannot end it.
        assert.equal(ours(mail.content), ours(plain.content));
        const inside = /`(queue\/taskcluster-x\/[^`\n]*)`/.exec(mail.content)?.[1] ?? '';
        assert.doesNotMatch(inside, /[<>&]|:\/\/|www\.|[\p{C}\p{Zl}\p{Zp}]/iu);
      }),
      { numRuns: 500 },
    );
  });
});

describe('the message to a Matrix room or a Slack channel', () => {
  it('states what a mail states', () => {
    const { roomId, body, formattedBody } = matrixOf(noticeOf(NOW_MS));
    assert.equal(roomId, '!room:example.org');
    const { channelId, text } = slackOf(noticeOf(NOW_MS));
    assert.equal(channelId, 'C0123');
    for (const [message, expected] of [
      [body, '[Pulse] a queue is growing too large: `queue/taskcluster-x/jobs`'],
      [body, 'held 4,321 messages at 2026-11-24 12:34:56 UTC'],
      [body, '- purge it, if its messages are no longer needed;'],
      [body, 'has this room as its contact'],
      [
        formattedBody,
        '<p><strong>[Pulse] a queue is growing too large:</strong> <code>queue/taskcluster-x/jobs</code></p>',
      ],
      [formattedBody, 'held <strong>4,321 messages</strong> at'],
      [formattedBody, '<code>&quot;contact&quot;: null</code>'],
      [text, '*[Pulse] a queue is growing too large:* `queue/taskcluster-x/jobs`'],
      [text, 'held *4,321 messages* at'],
      [text, '• check that its consumers run'],
      [text, 'has this channel as its contact'],
      [text, 'The next message comes when'],
    ] as const) {
      assert.ok(message.includes(expected), `${expected}\nis missing in\n${message}`);
    }
  });

  it('notifies no one and shows nothing but text, whatever the name of the queue is', () => {
    const unit = fc.constantFrom(
      '@here',
      '@room',
      '<!channel>',
      '<@U123>',
      '<a href="x">',
      '&',
      '`',
      '"',
      "'",
      '*',
      '_',
      '\n',
      '@',
      'a',
      '://',
      '<',
      '>',
      '\\',
      '|',
      '\u202e',
      '\u0000',
      '🐇',
    );
    const names = fc.oneof(fc.string({ unit: 'binary', maxLength: 255 }), fc.string({ unit, maxLength: 120 }));
    const tags = /<\/?(?:p|strong|code|ul|li)>|<hr>/g;
    fc.assert(
      fc.property(names, fc.constantFrom(...KINDS), (name, kind) => {
        const notice = noticeOf(NOW_MS, { kind, queue: `queue/taskcluster-x/${name}` });
        const { body, formattedBody } = matrixOf(notice);
        const { text } = slackOf(notice);
        for (const message of [body, formattedBody, text]) assert.doesNotMatch(message, /@/);
        assert.doesNotMatch(formattedBody.replaceAll(tags, ''), /[<>]/);
        assert.doesNotMatch(text, /[<>]/);
        assert.doesNotMatch(text.replaceAll(/&(amp|lt|gt);/g, ''), /&/);
        const plain = noticeOf(NOW_MS, { kind, queue: 'queue/taskcluster-x/plain' });
        const ours = (message: string): string => message.replaceAll(/queue\/taskcluster-x\/[^`\n<]*/g, '…');
        assert.equal(ours(body), ours(matrixOf(plain).body));
        assert.equal(ours(formattedBody), ours(matrixOf(plain).formattedBody));
        assert.equal(ours(text), ours(slackOf(plain).text));
        // An event of Matrix has 64 KiB at most, a message of Slack 40,000 characters.
        assert.ok(Buffer.byteLength(JSON.stringify({ body, formattedBody })) < 60 * 1024);
        assert.ok(text.length < 40_000);
      }),
      { numRuns: 500 },
    );
  });

  it('is none for a contact of a form that only a later version knows', () => {
    assert.equal(noticeMessage(noticeOf(NOW_MS, { contact: 'irc:#team' }), CONFIG), undefined);
  });
});

describe('the message about many queues', () => {
  const many = (kind: NoticeKind, names: readonly string[], more: Partial<Notice> = {}): Notice => {
    const [first, ...others] = names.map((name, number) =>
      noticeOf(NOW_MS, {
        id: `n-${number}`,
        kind,
        queue: `queue/taskcluster-x/${name}`,
        messages: 9000 - number,
        ...more,
      }),
    );
    assert.ok(first !== undefined);
    return startBatch(first, others, first.contact, NOW_MS);
  };
  const numbers = (count: number): string[] => Array.from({ length: count }, (_, number) => `q${number}`);

  it('counts them, lists some, and says what happens to them', () => {
    const forecast = { unit: 'messages', perMinute: 100, reachedMs: NOW_MS + 60_000 } as const;
    const { subject, content } = mailOf(many('queue-warning', numbers(1000), { forecast, deleteAtMessages: 10_000 }));
    assert.equal(subject, '[Pulse] 1,000 queues are growing too large');
    assert.equal(content.match(/^- `queue/gm)?.length, 25);
    for (const text of [
      '1,000 queues hold more than their thresholds for warnings.',
      '- `queue/taskcluster-x/q0` held **9,000 messages** at 2026-11-24 12:34:56 UTC, and is deleted at 10,000 messages.',
      'At that rate it is deleted at about 2026-11-24 12:35:56 UTC.',
      'And **975 more**.',
      'check that its consumers run',
      'the namespace `taskcluster-x` has your address as its contact',
      'notice `n-0`',
    ]) {
      assert.ok(content.includes(text), `${text}\nis missing in\n${content}`);
    }
    const deletions = mailOf(many('queue-deletion', numbers(3)));
    assert.equal(deletions.subject, '[Pulse] 3 queues were deleted');
    assert.match(deletions.content, /3 queues had reached .* \*\*deleted with all their messages\*\*/);
    assert.doesNotMatch(deletions.content, /more/);
    const recoveries = mailOf(many('queue-recovered', numbers(3), { peakMessages: 90_000 }));
    assert.match(recoveries.content, /It was drained by 90 percent/);
  });

  it('names the namespaces, ten at most', () => {
    const [first, ...others] = Array.from({ length: 12 }, (_, number) =>
      noticeOf(NOW_MS, { id: `n-${number}`, namespace: `taskcluster-${number}` }),
    );
    assert.ok(first !== undefined);
    const { content } = mailOf(startBatch(first, others, first.contact, NOW_MS));
    assert.match(content, /the namespaces `taskcluster-0`, .*`taskcluster-9` and 2 more have your address as their/);
  });

  it('is accepted by each service with the longest and strangest names', () => {
    const strange = fc.constantFrom('"', "'", '<', '`', '@here', '&', '\u0000', '🐇', 'a', '\u202e', '\\');
    const names = fc.array(fc.string({ unit: strange, maxLength: 235 }), {
      minLength: 25,
      maxLength: 40,
    });
    const sameName = strange.map((character) => Array.from({ length: 40 }, () => character.repeat(235)));
    fc.assert(
      fc.property(fc.oneof(names, sameName), fc.constantFrom(...KINDS), (all, kind) => {
        // RabbitMQ has names of 255 bytes at most.
        const notice = many(
          kind,
          all.map((name) => Buffer.from(name).subarray(0, 235).toString()),
        );
        const { medium: _, ...mail } = mailOf(notice);
        emailSchema.parse(mail);
        const { body, formattedBody } = matrixOf(notice);
        assert.ok(Buffer.byteLength(JSON.stringify({ body, formattedBody })) < 60 * 1024);
        const { text } = slackOf(notice);
        assert.ok(text.length < 40_000);
        assert.equal(text.match(/^• `queue/gm)?.length, 10);
        for (const message of [body, formattedBody, text]) assert.doesNotMatch(message, /@/);
      }),
      { numRuns: 100 },
    );
  });
});
