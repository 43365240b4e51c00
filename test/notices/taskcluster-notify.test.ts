import assert from 'node:assert/strict';
import { inspect } from 'node:util';
import { systemClock } from '../../src/util/clock.ts';
import type { LocalTaskcluster } from '../../dev/taskcluster/server.ts';
import { createTaskclusterNotifier } from '../../src/notices/taskcluster-notify.ts';
import { noNotifier, type Notifier } from '../../src/notices/notifier.ts';
import { Secret } from '../../src/util/secret.ts';
import { startService, TOKEN } from '../dev/taskcluster/support.ts';
import { unique } from '../support/folders.ts';

const signal = new AbortController().signal;
const mailTo = (address: string) => ({
  medium: 'mail' as const,
  address,
  subject: unique('subject'),
  content: 'Queue `ü🐇`',
});

describe('the Taskcluster notifier', () => {
  let service: LocalTaskcluster;
  beforeEach(async () => {
    service = await startService();
  });
  afterEach(() => service.close());

  const notifier = (more: Partial<Parameters<typeof createTaskclusterNotifier>[0]> = {}): Notifier =>
    createTaskclusterNotifier({
      rootUrl: service.rootUrl,
      clientId: 'mailer',
      accessToken: new Secret(TOKEN),
      clock: systemClock,
      ...more,
    });
  const send = (address = 'owner@example.com', more = {}) => notifier(more).send(mailTo(address), signal);

  it('sends a mail unchanged', async () => {
    const mail = mailTo('owner@example.com');
    assert.deepEqual(await notifier().send(mail, signal), { is: 'sent' });
    const { medium: _, ...sent } = mail;
    assert.deepEqual(service.mails, [sent]);
  });

  it('posts to a Matrix room, as a notice that notifies no one, and to a Slack channel', async () => {
    const post = { medium: 'matrix', roomId: '!room:example.com', body: 'ü🐇', formattedBody: '<p>ü🐇</p>' } as const;
    assert.deepEqual(await notifier().send(post, signal), { is: 'sent' });
    const { medium: _, ...sent } = post;
    const form = { format: 'org.matrix.custom.html', msgtype: 'm.notice' };
    assert.deepEqual(service.matrixPosts, [{ ...sent, ...form }]);
    const message = { medium: 'slack', channelId: 'C0123', text: 'ü🐇 &lt;' } as const;
    assert.deepEqual(await notifier().send(message, signal), { is: 'sent' });
    assert.deepEqual(
      service.slackPosts.map(({ channelId, text }) => [channelId, text]),
      [['C0123', 'ü🐇 &lt;']],
    );
    assert.deepEqual([service.calls.matrix, service.calls.slack, service.calls.email], [1, 1, 0]);
  });

  it('returns for a room and a channel what it returns for an address', async () => {
    const post = (roomId: string) =>
      notifier().send({ medium: 'matrix', roomId, body: unique('text'), formattedBody: '<p></p>' }, signal);
    const message = (channelId: string) =>
      notifier().send({ medium: 'slack', channelId, text: unique('text') }, signal);
    assert.deepEqual(await post('!denied:example.com'), { is: 'refused', code: 'DenylistedAddress' });
    assert.deepEqual(await message('C0DENIED'), { is: 'refused', code: 'DenylistedAddress' });
    assert.deepEqual(await post('!room:example.org'), { is: 'misconfigured', code: 'InsufficientScopes' });
    assert.deepEqual(await message('C9'), { is: 'misconfigured', code: 'InsufficientScopes' });
    // Someone has to invite the service: it joins by itself then.
    assert.deepEqual(await post('!other:example.com'), { is: 'misconfigured', code: 'NotInRoom' });
    const repeated = { medium: 'slack', channelId: 'C0123', text: 'the same' } as const;
    await notifier().send(repeated, signal);
    assert.deepEqual(await notifier().send(repeated, signal), { is: 'not-sent', code: 'NotSent' });
    service.behave({ mode: 'failing', status: 500 });
    const failed = { is: 'unavailable', code: 'InternalServerError', mayHaveArrived: true };
    assert.deepEqual([await post('!room:example.com'), await message('C0123')], [failed, failed]);
  });

  it('accepts a root URL with a trailing slash', async () => {
    assert.deepEqual(await send('owner@example.com', { rootUrl: `${service.rootUrl}/` }), { is: 'sent' });
  });

  it('returns not-sent for a duplicate, and for an address to which nothing is sent', async () => {
    const mail = mailTo('owner@example.com');
    await notifier().send(mail, signal);
    assert.deepEqual(await notifier().send(mail, signal), { is: 'not-sent', code: 'NotSent' });
    assert.deepEqual(await send('quiet@example.com'), { is: 'not-sent', code: 'NotSent' });
    assert.equal(service.mails.length, 1);
  });

  it('returns refused for a denylisted or invalid address', async () => {
    assert.deepEqual(await send('no@example.com'), { is: 'refused', code: 'DenylistedAddress' });
    assert.deepEqual(await send('nobody'), { is: 'refused', code: 'InputValidationError' });
  });

  it('returns misconfigured where the client is unknown or lacks the scope', async () => {
    assert.deepEqual(await send('owner@example.org'), { is: 'misconfigured', code: 'InsufficientScopes' });
    const wrong = { accessToken: new Secret('wrong') };
    assert.deepEqual(await send('owner@example.com', wrong), { is: 'misconfigured', code: 'AuthenticationFailed' });
    const elsewhere = { rootUrl: `${service.rootUrl}/elsewhere` };
    assert.deepEqual(await send('owner@example.com', elsewhere), { is: 'misconfigured', code: 'ResourceNotFound' });
    service.behave({ mode: 'wrong', status: 302, body: 'elsewhere' });
    assert.deepEqual(await send(), { is: 'misconfigured', code: 'HTTP 302' });
    // A proxy with a login; its page must not count as a mail that was sent.
    service.behave({ mode: 'wrong', status: 200, contentType: 'text/html', body: '\n<!DOCTYPE html><html></html>' });
    assert.deepEqual(await send(), { is: 'misconfigured', code: 'PageReceived' });
  });

  it('returns that the mail may have arrived when the service fails, disconnects or times out', async () => {
    const unavailable = { is: 'unavailable', mayHaveArrived: true };
    service.behave({ mode: 'failing', status: 503 });
    assert.deepEqual(await send(), { ...unavailable, code: 'InternalServerError' });
    service.behave({ mode: 'wrong', status: 502, contentType: 'text/html', body: '<html>secret</html>' });
    assert.deepEqual(await send(), { ...unavailable, code: 'HTTP 502' });
    service.behave({ mode: 'cutting' });
    assert.deepEqual(await send(), { ...unavailable, code: 'ECONNRESET' });
    service.behave({ mode: 'hanging' });
    assert.deepEqual(await send('owner@example.com', { timeoutMs: 50 }), { ...unavailable, code: 'TimedOut' });
  });

  it('returns that the mail did not arrive when the connection or the rate is refused', async () => {
    service.behave({ mode: 'wrong', status: 429, body: '{"code":"no code, but <a text>"}' });
    assert.deepEqual(await send(), { is: 'unavailable', code: 'HTTP 429', mayHaveArrived: false });
    await service.refuseConnections();
    assert.deepEqual(await send(), { is: 'unavailable', code: 'ECONNREFUSED', mayHaveArrived: false });
  });

  it('aborts with its signal', async () => {
    service.behave({ mode: 'hanging' });
    const stopping = new AbortController();
    const sending = notifier().send(mailTo('owner@example.com'), stopping.signal);
    stopping.abort(new Error('The agent stops.'));
    await assert.rejects(sending, /The agent stops/);
    await assert.rejects(notifier().send(mailTo('owner@example.com'), stopping.signal), /The agent stops/);
  });

  it('does not expose its token', async () => {
    assert.ok(!inspect(notifier(), { depth: 9, showHidden: true }).includes(TOKEN));
  });

  it('is replaced by one that refuses every mail where no client is configured', async () => {
    assert.deepEqual(await noNotifier.send(mailTo('a@b.c'), signal), { is: 'refused', code: 'NotConfigured' });
  });
});
