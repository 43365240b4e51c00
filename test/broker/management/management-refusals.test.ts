import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import type { AddressInfo, Server } from 'node:net';
import { createManagement, type Management } from '../../../src/broker/management/management.ts';
import { AgentError } from '../../../src/util/agent-errors.ts';
import { Secret } from '../../../src/util/secret.ts';
import { makeCertificates } from '../../support/certificates.ts';

const LOGIN_PAGE = '<!DOCTYPE html>\n<html><title>Sign in</title></html>';
const POLICY = { pattern: '^x$', applyTo: 'queues', definition: { 'max-length': 1 }, priority: 1 } as const;

async function refused(work: Promise<unknown>, code: string, message: RegExp): Promise<void> {
  await assert.rejects(work, (error: unknown) => {
    assert.ok(error instanceof AgentError, String(error));
    assert.equal(error.code, code);
    assert.match(error.message, message);
    return true;
  });
}

describe('what an operator can do about the management API', () => {
  const open: (() => void)[] = [];
  afterEach(() => {
    for (const close of open.splice(0)) close();
  });

  const serve = async (server: http.Server | https.Server, ca?: string): Promise<Management> => {
    await new Promise<void>((resolve) => (server as Server).listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const management = createManagement({
      url: `${ca === undefined ? 'http' : 'https'}://localhost:${port}`,
      username: 'agent',
      password: new Secret('sesame-open'),
      timeoutMs: 5000,
      ca,
    });
    open.push(() => {
      management.close();
      server.closeAllConnections();
      server.close();
    });
    return management;
  };
  const respond = (status: number, body: string, headers: http.OutgoingHttpHeaders = {}): Promise<Management> =>
    serve(http.createServer((_request, response) => response.writeHead(status, headers).end(body)));

  it('a login page in place of the API is a refusal, also where a change would seem to have been made', async () => {
    const management = await respond(200, LOGIN_PAGE, { 'content-type': 'text/html' });
    const toTheApi = /page.* \/api\/.*\(200\).*login.*RABBITMQ_MANAGEMENT_URL/;
    await refused(management.whoAmI(), 'BrokerRefused', toTheApi);
    await refused(management.putPolicy('/', 'p', POLICY), 'BrokerRefused', toTheApi);
    await refused(management.deleteUser('x'), 'BrokerRefused', toTheApi);
  });

  it('a redirect is named, without its query', async () => {
    const management = await respond(302, '', { location: 'https://login.example/in?token=secret' });
    await refused(
      management.whoAmI(),
      'BrokerRefused',
      /302 \(to https:\/\/login\.example\/in\).*RABBITMQ_MANAGEMENT_URL/,
    );
    await assert.rejects(management.whoAmI(), (error: Error) => !error.message.includes('secret'));
  });

  it('operator policies that the configuration of RabbitMQ forbids', async () => {
    const management = await respond(405, '');
    const allow = /405.*operator_policy_changes\.disabled.*rabbitmqctl set_operator_policy/;
    await refused(management.putOperatorPolicy('/', 'p', POLICY), 'BrokerRefused', allow);
    await refused(management.deleteOperatorPolicy('/', 'p'), 'BrokerRefused', allow);
    const stranger = await respond(401, '{"error":"not_authorized","reason":"Not administrator user"}');
    await refused(
      stranger.putOperatorPolicy('/', 'p', POLICY),
      'BrokerRefused',
      /Not administrator user.*administrator tag/,
    );
  });

  it('a feature flag that is off, and a limit that is reached, with the reason of RabbitMQ', async () => {
    const json = { 'content-type': 'application/json' };
    const off = 'cannot set any user limits: the user_limits feature flag is not enabled';
    const flags = await respond(400, JSON.stringify({ error: 'bad_request', reason: off }), json);
    await refused(
      flags.putUserLimit('x', 'max-channels', 1),
      'BrokerRefused',
      /400 \(cannot set any user limits.*rabbitmqctl enable_feature_flag all/,
    );
    const full = "cannot create vhost 'x': vhost limit of 1 is reached";
    const limit = await respond(400, JSON.stringify({ error: 'bad_request', reason: full }), json);
    await refused(limit.putVhost('x', ''), 'BrokerRefused', /vhost limit of 1 is reached\)\. Raise the limit/);
  });

  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
    it(`a client certificate that the API wants, with ${maxVersion}`, async () => {
      const { ca, certificateFile, keyFile } = makeCertificates();
      const cert = { cert: readFileSync(certificateFile), key: readFileSync(keyFile), ca };
      const options = { ...cert, maxVersion, requestCert: true, rejectUnauthorized: true };
      const management = await serve(
        https.createServer(options, (_request, response) => response.end('{}')),
        ca,
      );
      await refused(
        management.whoAmI(),
        'BrokerRefused',
        /wants a client certificate \(ERR_SSL_\w+\).*fail_if_no_peer_cert/,
      );
    });
  }
});
