import assert from 'node:assert/strict';
import { client as hawk } from 'hawk';
import taskcluster, { type Credentials } from 'taskcluster-client';
import type { LocalTaskcluster } from '../../../dev/taskcluster/server.ts';
import { startService, TOKEN } from './support.ts';

const mail = (subject: string, address = 'owner@example.com') => ({ address, subject, content: 'Text' });
const notifyAs = (service: LocalTaskcluster, credentials: Credentials | Record<string, never>) =>
  new taskcluster.Notify({ rootUrl: service.rootUrl, credentials, retries: 0 });

describe('notify email of the Taskcluster stand-in', () => {
  let service: LocalTaskcluster;
  before(async () => {
    service = await startService();
  });
  after(() => service.close());

  const mailer = () => notifyAs(service, service.credentials('mailer'));

  it('sends for a client with the scope, and records the mail', async () => {
    await mailer().email({ ...mail('sent'), link: { text: 'Look', href: 'https://example.com/x' } });
    assert.equal(service.mails.filter(({ subject }) => subject === 'sent').length, 1);
  });

  it('drops repetitions, and mails to silent addresses, without an error', async () => {
    await mailer().email(mail('twice'));
    await mailer().email(mail('twice'));
    await mailer().email(mail('silent', 'quiet@example.com'));
    assert.equal(service.mails.filter(({ subject }) => subject === 'twice').length, 1);
    assert.equal(service.mails.filter(({ subject }) => subject === 'silent').length, 0);
  });

  it('refuses denylisted addresses', async () => {
    const sending = mailer().email(mail('denylisted', 'no@example.com'));
    await assert.rejects(sending, { statusCode: 400, code: 'DenylistedAddress' });
  });

  it('refuses a client without the scope, and missing or wrong signatures', async () => {
    const insufficient = { statusCode: 403, code: 'InsufficientScopes' };
    await assert.rejects(mailer().email(mail('x', 'owner@example.org')), insufficient);
    await assert.rejects(notifyAs(service, service.credentials('plain')).email(mail('x')), insufficient);
    await assert.rejects(notifyAs(service, {}).email(mail('x')), insufficient);
    const wrong = notifyAs(service, { clientId: 'mailer', accessToken: 'wrong' }).email(mail('x'));
    await assert.rejects(wrong, { statusCode: 401, code: 'AuthenticationFailed' });
  });

  it('refuses what violates the schema, before it checks the signature', async () => {
    const faults: object[] = [
      { address: 'unknown' },
      { address: 'odd@localhost' },
      { address: 'odd.@example.com' },
      { address: 'odd@ex_ample.com' },
      { subject: '' },
      { subject: 'x'.repeat(256) },
      { content: 'x'.repeat(102_401) },
      { template: 'plain' },
      { extra: 1 },
    ];
    for (const fault of faults) {
      const sending = notifyAs(service, {}).email({ ...mail('x'), ...fault });
      await assert.rejects(sending, { statusCode: 400, code: 'InputValidationError' }, JSON.stringify(fault));
    }
  });

  it('takes every address that the service takes', async () => {
    for (const address of ["odd!#$%&'*+/=?^_`{|}~-@example.com", 'odd@example.1', 'odd@1.2', 'odd.x@e.x']) {
      await mailer().email(mail('odd address', address));
    }
    assert.equal(service.mails.filter(({ subject }) => subject === 'odd address').length, 4);
  });

  it('checks the payload hash if one was signed', async () => {
    const url = `${service.rootUrl}/api/notify/v1/email`;
    const send = async (signed: string, sent: string): Promise<number> => {
      const credentials = { id: 'mailer', key: TOKEN, algorithm: 'sha256' as const };
      const { header } = hawk.header(url, 'POST', { credentials, payload: signed, contentType: 'application/json' });
      const headers = { authorization: header, 'content-type': 'application/json' };
      return (await fetch(url, { method: 'POST', headers, body: sent })).status;
    };
    const body = JSON.stringify(mail('hashed'));
    assert.equal(await send(body, body), 200);
    assert.equal(await send(body, body), 204);
    assert.equal(await send('{}', body), 401);
  });
});
