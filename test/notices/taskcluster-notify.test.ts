import assert from 'node:assert/strict';
import { inspect } from 'node:util';
import { systemClock } from '../../src/util/clock.ts';
import type { LocalTaskcluster } from '../../dev/taskcluster/server.ts';
import { createTaskclusterMail } from '../../src/notices/taskcluster-notify.ts';
import { noNotifier, type Notifier } from '../../src/notices/notifier.ts';
import { Secret } from '../../src/util/secret.ts';
import { startService, TOKEN } from '../dev/taskcluster/support.ts';
import { unique } from '../support/folders.ts';

const calm = new AbortController().signal;
const mailTo = (address: string) => ({ address, subject: unique('subject'), content: 'Queue `ü🐇`' });

describe('mail by Taskcluster', () => {
  let service: LocalTaskcluster;
  beforeEach(async () => {
    service = await startService();
  });
  afterEach(() => service.close());

  const notifier = (more: Partial<Parameters<typeof createTaskclusterMail>[0]> = {}): Notifier =>
    createTaskclusterMail({
      rootUrl: service.rootUrl,
      clientId: 'mailer',
      accessToken: new Secret(TOKEN),
      clock: systemClock,
      ...more,
    });
  const send = (address = 'owner@example.com', more = {}) => notifier(more).send(mailTo(address), calm);

  it('is sent as it is', async () => {
    const mail = mailTo('owner@example.com');
    assert.deepEqual(await notifier().send(mail, calm), { is: 'sent' });
    assert.deepEqual(service.mails, [mail]);
  });

  it('is sent under a root URL with a slash at its end', async () => {
    assert.deepEqual(await send('owner@example.com', { rootUrl: `${service.rootUrl}/` }), { is: 'sent' });
  });

  it('is not sent when it is the same again, or when nothing is sent to that address', async () => {
    const mail = mailTo('owner@example.com');
    await notifier().send(mail, calm);
    assert.deepEqual(await notifier().send(mail, calm), { is: 'not-sent', code: 'NotSent' });
    assert.deepEqual(await send('quiet@example.com'), { is: 'not-sent', code: 'NotSent' });
    assert.equal(service.mails.length, 1);
  });

  it('is refused for good to an address that is denylisted or none', async () => {
    assert.deepEqual(await send('no@example.com'), { is: 'refused', code: 'DenylistedAddress' });
    assert.deepEqual(await send('nobody'), { is: 'refused', code: 'InputValidationError' });
  });

  it('waits for an operator where the client is not known or may not send', async () => {
    assert.deepEqual(await send('owner@example.org'), { is: 'misconfigured', code: 'InsufficientScopes' });
    const wrong = { accessToken: new Secret('wrong') };
    assert.deepEqual(await send('owner@example.com', wrong), { is: 'misconfigured', code: 'AuthenticationFailed' });
    const elsewhere = { rootUrl: `${service.rootUrl}/elsewhere` };
    assert.deepEqual(await send('owner@example.com', elsewhere), { is: 'misconfigured', code: 'ResourceNotFound' });
    service.behave({ mode: 'wrong', status: 302, body: 'elsewhere' });
    assert.deepEqual(await send(), { is: 'misconfigured', code: 'HTTP 302' });
  });

  it('may have arrived when the service fails, cuts the connection or does not answer in time', async () => {
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

  it('cannot have arrived where nobody listens, or where patience is asked for', async () => {
    service.behave({ mode: 'wrong', status: 429, body: '{"code":"no code, but <a text>"}' });
    assert.deepEqual(await send(), { is: 'unavailable', code: 'HTTP 429', mayHaveArrived: false });
    await service.refuseConnections();
    assert.deepEqual(await send(), { is: 'unavailable', code: 'ECONNREFUSED', mayHaveArrived: false });
  });

  it('ends when it is told to', async () => {
    service.behave({ mode: 'hanging' });
    const stopping = new AbortController();
    const sending = notifier().send(mailTo('owner@example.com'), stopping.signal);
    stopping.abort(new Error('The agent stops.'));
    await assert.rejects(sending, /The agent stops/);
    await assert.rejects(notifier().send(mailTo('owner@example.com'), stopping.signal), /The agent stops/);
  });

  it('shows its token to nobody', async () => {
    assert.ok(!inspect(notifier(), { depth: 9, showHidden: true }).includes(TOKEN));
  });

  it('fails at once and for good where nothing is configured', async () => {
    assert.deepEqual(await noNotifier.send(mailTo('a@b.c'), calm), { is: 'refused', code: 'NotConfigured' });
  });
});
