import assert from 'node:assert/strict';
import { createTaskclusterAuth } from '../../src/requests/taskcluster-auth.ts';
import { inspectMongoDB } from '../../src/store/mongodb/inspect-mongodb.ts';
import { AgentError, type AgentErrorCode } from '../../src/util/agent-errors.ts';
import { pingAuth } from '../../src/verify/probes.ts';
import { addCleanup } from '../support/cleanup.ts';
import { startTlsServer } from '../support/tls-relay.ts';

const { signal } = new AbortController();

/** Calls that meet a certificate which this machine does not trust, each with its error and what an operator can set. */
const CALLS: readonly (readonly [string, (port: number) => Promise<unknown>, AgentErrorCode, RegExp])[] = [
  [
    'an authentication',
    async (port) => {
      const auth = createTaskclusterAuth({ rootUrl: `https://localhost:${port}`, timeoutMs: 2000 });
      addCleanup(() => auth.close());
      const request = { method: 'post', resource: '/v1/ping', host: 'x', port: 443, authorization: 'Hawk' } as const;
      await auth.authenticate(request, signal);
    },
    'AuthUnavailable',
    /NODE_EXTRA_CA_CERTS/,
  ],
  [
    'the check of the auth service by verify',
    (port) => pingAuth(`https://localhost:${port}`, signal),
    'AuthUnavailable',
    /NODE_EXTRA_CA_CERTS/,
  ],
  [
    'MongoDB',
    (port) => inspectMongoDB(`mongodb://localhost:${port}/x?tls=true`, 1000),
    'StoreUnavailable',
    /tlsCAFile/,
  ],
];

describe('a certificate that is not trusted', () => {
  for (const [what, call, code, setting] of CALLS) {
    it(`of ${what} is named, with the setting for its CA`, async () => {
      const { port } = await startTlsServer();
      await assert.rejects(call(port), (error) => {
        assert.ok(error instanceof AgentError, String(error));
        assert.equal(error.code, code);
        assert.match(error.message, /not trusted/);
        assert.match(error.message, /host name of the certificate/);
        assert.match(error.message, setting);
        return true;
      });
    });
  }
});
