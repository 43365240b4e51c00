import assert from 'node:assert/strict';
import type { IncomingHttpHeaders } from 'node:http';
import type { IncomingRequest } from '../../src/observe/http-server.ts';
import { type Guarded, type GuardSettings, refusalOf } from '../../src/operator-http/guard.ts';

const LOOPBACK: GuardSettings = { httpHost: '127.0.0.1', operatorHosts: [] };
const OPEN: GuardSettings = { httpHost: '0.0.0.0', operatorHosts: ['pulse.example.com', '2001:db8::7'] };

function requestWith(headers: IncomingHttpHeaders, more: Partial<IncomingRequest> = {}): IncomingRequest {
  const { signal } = new AbortController();
  const request = { method: 'GET', path: '/', query: undefined, hasBody: false, localAddress: '127.0.0.1', signal };
  return { ...request, headers: { host: 'localhost', ...headers }, ...more };
}

function statusOf(request: IncomingRequest, settings = LOOPBACK, guarded: Guarded = 'data'): number | undefined {
  return refusalOf(request, guarded, settings)?.status;
}

describe('the guard of the page for operators', () => {
  for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'TRACE', 'PROPFIND', 'get']) {
    it(`answers ${method} with 405, and names what is served`, () => {
      const refusal = refusalOf(requestWith({}, { method }), 'data', LOOPBACK);
      assert.equal(refusal?.status, 405);
      assert.equal(refusal.headers?.['allow'], 'GET, HEAD');
    });
  }

  it('takes no body', () => {
    assert.equal(statusOf(requestWith({}, { hasBody: true })), 400);
  });

  for (const [host, settings, expected, more] of [
    ['localhost', LOOPBACK, undefined],
    ['LOCALHOST:8080', LOOPBACK, undefined],
    ['localhost.:8080', LOOPBACK, undefined],
    ['page.localhost', LOOPBACK, undefined],
    ['127.0.0.1:9', LOOPBACK, undefined],
    ['127.8.8.8', LOOPBACK, undefined],
    ['[::1]:8080', LOOPBACK, undefined],
    // A stranger's page whose name leads to this machine.
    ['evil.example', LOOPBACK, 421],
    ['evil.example:8080', LOOPBACK, 421],
    ['localhost.evil.example', LOOPBACK, 421],
    ['127.0.0.1.evil.example', LOOPBACK, 421],
    ['localhost@evil.example', LOOPBACK, 400],
    ['evil.example#localhost', LOOPBACK, 400],
    ['localhost:80:80', LOOPBACK, 400],
    ['localhost, evil.example', LOOPBACK, 400],
    ['localhost/x', LOOPBACK, 400],
    ['', LOOPBACK, 400],
    ['[::1', LOOPBACK, 400],
    ['x'.repeat(300), LOOPBACK, 400],
    ['0.0.0.0:8080', OPEN, 421],
    ['pulse.example.com', OPEN, undefined],
    ['Pulse.Example.Com:8443', OPEN, undefined],
    ['other.example.com', OPEN, 421],
    ['[2001:DB8::7]', OPEN, undefined],
    ['[2001:db8::8]', OPEN, 421],
    // The address that the client reached: no name of a stranger is one.
    ['10.0.0.7:8080', OPEN, undefined, { localAddress: '::ffff:10.0.0.7' }],
    ['10.0.0.8:8080', OPEN, 421, { localAddress: '::ffff:10.0.0.7' }],
    ['agent-host', { httpHost: 'Agent-Host', operatorHosts: [] }, undefined],
  ] as readonly [string, GuardSettings, number | undefined, Partial<IncomingRequest>?][]) {
    it(`answers the host ${host.slice(0, 40) || '(none)'} with ${expected ?? 'the page'}`, () => {
      assert.equal(statusOf(requestWith({ host }, more), settings), expected);
    });
  }

  it('does without a Host header only as a fault', () => {
    const { host: _host, ...headers } = requestWith({}).headers;
    assert.equal(statusOf(requestWith({}, { headers })), 400);
  });

  it('says which setting lets a host pass, and repeats nothing that is no host', () => {
    const named = JSON.stringify(refusalOf(requestWith({ host: 'pulse.example.com' }), 'data', LOOPBACK));
    assert.match(named, /pulse\.example\.com.*PULSE_AGENT_OPERATOR_HOSTS/);
    const malformed = JSON.stringify(refusalOf(requestWith({ host: '<b>' }), 'data', LOOPBACK));
    assert.ok(!malformed.includes('<b>'));
  });

  const visit = { 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' };
  for (const [what, headers, data, file] of [
    ['no browser', {}, undefined, undefined],
    ['the page itself', { 'sec-fetch-site': 'same-origin', 'sec-fetch-mode': 'cors' }, undefined, undefined],
    ['a typed address', { 'sec-fetch-site': 'none', ...visit }, undefined, undefined],
    ['a link at another site', { 'sec-fetch-site': 'cross-site', ...visit }, 403, undefined],
    ['a frame at another site', { 'sec-fetch-site': 'cross-site', ...visit, 'sec-fetch-dest': 'iframe' }, 403, 403],
    ['a script of another site', { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors' }, 403, 403],
    ['another port of this host', { 'sec-fetch-site': 'same-site', 'sec-fetch-mode': 'cors' }, 403, undefined],
    ['an unknown site', { 'sec-fetch-site': 'SAME-ORIGIN' }, 403, 403],
  ] as const) {
    it(`for ${what}: data ${data ?? 'pass'}, files ${file ?? 'pass'}`, () => {
      assert.equal(statusOf(requestWith(headers)), data);
      assert.equal(statusOf(requestWith(headers), LOOPBACK, 'file'), file);
    });
  }

  it('checks the method before the host, and the host before the site', () => {
    const all = { host: 'evil.example', 'sec-fetch-site': 'cross-site' };
    assert.equal(statusOf(requestWith(all, { method: 'POST' })), 405);
    assert.equal(statusOf(requestWith(all)), 421);
  });
});
