import assert from 'node:assert/strict';
import taskcluster from 'taskcluster-client';
import { type LocalTaskcluster, startTaskcluster } from '../../../dev/taskcluster/server.ts';
import { startService } from './support.ts';

/** Calls a method that the types of taskcluster-client may not have. */
async function call(service: LocalTaskcluster, method: 'matrix' | 'slack', body: object, clientId = 'mailer') {
  const notify: object = new taskcluster.Notify({
    rootUrl: service.rootUrl,
    credentials: service.credentials(clientId),
    retries: 0,
  });
  await Reflect.get(notify, method).call(notify, body);
}

describe('notify matrix and slack of the Taskcluster stand-in', () => {
  let service: LocalTaskcluster;
  before(async () => {
    service = await startService();
  });
  after(() => service.close());

  it('post for a client with the scope, once for the same message, and record it', async () => {
    for (let time = 0; time < 2; time += 1) {
      await call(service, 'matrix', { roomId: '!room:example.com', body: 'Text' });
      await call(service, 'slack', { channelId: 'C0123', text: 'Text' });
    }
    assert.deepEqual(service.matrixPosts, [{ roomId: '!room:example.com', body: 'Text', msgtype: 'm.notice' }]);
    assert.deepEqual(
      service.slackPosts.map(({ text }) => text),
      ['Text'],
    );
    const posts = await (await fetch(`${service.rootUrl}/_dev/posts`)).json();
    assert.deepEqual(posts, { matrix: service.matrixPosts, slack: service.slackPosts });
  });

  it('refuse what is denylisted, what the client may not do, and a room without the service, as for an alias', async () => {
    const matrix = (roomId: string, clientId?: string) => call(service, 'matrix', { roomId, body: roomId }, clientId);
    await assert.rejects(matrix('!denied:example.com'), { statusCode: 400, code: 'DenylistedAddress' });
    await assert.rejects(call(service, 'slack', { channelId: 'C0DENIED', text: 'x' }), { code: 'DenylistedAddress' });
    await assert.rejects(matrix('!room:example.com', 'plain'), { statusCode: 403, code: 'InsufficientScopes' });
    await assert.rejects(matrix('!other:example.com'), { statusCode: 400, code: 'InputError' });
    service.setClient({ ...service.credentials('plain'), scopes: ['notify:matrix-room:*'] });
    await assert.rejects(matrix('#room:example.com', 'plain'), { statusCode: 400, code: 'InputError' });
    await assert.rejects(call(service, 'matrix', { roomId: '!room:example.com' }), { code: 'InputValidationError' });
    await assert.rejects(call(service, 'slack', { channelId: 'C0123', text: 'x', more: 1 }), {
      code: 'InputValidationError',
    });
  });

  it('drop messages for Slack where the service has no access to it', async () => {
    const without = await startTaskcluster({ directory: { chat: { slack: false } } });
    try {
      without.setClient({ ...service.credentials('mailer'), scopes: ['notify:slack-channel:*'] });
      await call(without, 'slack', { channelId: 'C0123', text: 'Text' });
      assert.deepEqual(without.slackPosts, []);
    } finally {
      await without.close();
    }
  });
});
