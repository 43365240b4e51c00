import assert from 'node:assert/strict';
import type { AuditedClaim } from '../../../src/audit/claim-audit.ts';
import type { ClaimResult } from '../../../src/namespaces/claim/claim.ts';
import type { SignedClaim } from '../../../src/namespaces/claim/decide-claim.ts';
import { parseResult } from '../../../src/contract/messages.ts';
import type { Signer } from '../../../src/requests/authenticate.ts';
import { type ClaimMethodParts, claimNamespaceMethod } from '../../../src/requests/methods/claim-namespace-method.ts';
import type { MethodContext } from '../../../src/requests/method.ts';
import { storedNonceUse } from '../../support/nonces.ts';
import { recordOf } from '../../support/records.ts';

const afterReply = (work: () => void): void => work();

const NOW = Date.parse('2026-11-24T12:00:00Z');
const signal = new AbortController().signal;
const nonce = storedNonceUse();
const signer: Signer = { clientId: 'project/x', scopes: [], nonce };
const result: ClaimResult = {
  record: recordOf(NOW, { contact: 'secret@example.com' }),
  reclaimAtMs: NOW + 1,
  connectionString: 'amqp://taskcluster-x-1:pw@h/%2F',
  isNew: true,
  isNewHolder: true,
  isNewContact: false,
  hasNewLimits: false,
};
const replyKey = { kty: 'OKP', crv: 'X25519', x: 'hSDwCYkwp1R0i33ctD73Wg2_Og0mOBr066SpjqqbTmo' } as const;

function setUp(given: Partial<ClaimMethodParts> = {}) {
  const claims: SignedClaim[] = [];
  const reported: AuditedClaim[] = [];
  const method = claimNamespaceMethod({
    claimNamespace: async (claim) => {
      claims.push(claim);
      return result;
    },
    requireSealedReplies: false,
    reporters: { namespaceClaimed: (claimed) => void reported.push(claimed) },
    ...given,
  });
  return { claims, reported, method };
}

describe('claim-namespace', () => {
  it('claims for the signer, and returns the fields of the contract without the contact', async () => {
    const { claims, reported, method } = setUp();
    const body = { namespace: 'taskcluster-x', expiresMs: NOW + 5, contact: null };
    const answer = await method(body, { signer, userId: undefined, correlationId: 'c-1', signal, afterReply });
    assert.deepEqual(claims, [{ ...body, queueLimits: undefined, claimedBy: 'project/x', nonce }]);
    assert.deepEqual(answer, {
      namespace: 'taskcluster-x',
      created: '2026-11-24T12:00:00.000Z',
      expires: '2026-11-24T16:00:00.000Z',
      reclaimAt: '2026-11-24T12:00:00.001Z',
      connectionString: 'amqp://taskcluster-x-1:pw@h/%2F',
    });
    assert.deepEqual(parseResult('claim-namespace', Buffer.from(JSON.stringify(answer))), answer);
    assert.deepEqual(reported, [result]);
  });

  it('returns every connection string where there are several', async () => {
    const connectionStrings = ['amqp://taskcluster-x-1:pw@h/%2F', 'amqp://taskcluster-x-1:pw@i/%2F'];
    const { method } = setUp({ claimNamespace: async () => ({ ...result, connectionStrings }) });
    const context = { signer, userId: undefined, correlationId: 'c-1', signal, afterReply };
    const answer = await method({ namespace: 'taskcluster-x' }, context);
    assert.deepEqual([answer.connectionString, answer.connectionStrings], [connectionStrings[0], connectionStrings]);
    assert.deepEqual(parseResult('claim-namespace', Buffer.from(JSON.stringify(answer))), answer);
  });

  it('passes on that contact and expires are absent', async () => {
    const { claims, method } = setUp();
    await method(
      { namespace: 'taskcluster-x' },
      { signer, userId: undefined, correlationId: 'c-1', signal, afterReply },
    );
    assert.equal(claims[0]?.contact, undefined);
    assert.equal(claims[0]?.expiresMs, undefined);
  });

  it('requires a replyKey before the claim where replies must be sealed', async () => {
    const { claims, method } = setUp({ requireSealedReplies: true });
    await assert.rejects(
      method({ namespace: 'taskcluster-x' }, { signer, userId: undefined, correlationId: 'c-1', signal, afterReply }),
      {
        code: 'InputError',
        details: { field: 'replyKey' },
      },
    );
    assert.equal(claims.length, 0);
    await method(
      { namespace: 'taskcluster-x', replyKey },
      { signer, userId: undefined, correlationId: 'c-1', signal, afterReply },
    );
    assert.equal(claims.length, 1);
  });

  it('cannot be called without a signer', () => {
    const unsigned: MethodContext<'ping'> = {
      signer: undefined,
      userId: undefined,
      correlationId: 'c-1',
      signal,
      afterReply,
    };
    // @ts-expect-error the context of a signed method has a signer
    const context: MethodContext<'claim-namespace'> = unsigned;
    assert.equal(context.signer, undefined);
  });

  it('reports no failed claim', async () => {
    const { reported, method } = setUp({ claimNamespace: () => Promise.reject(new Error('no')) });
    await assert.rejects(
      method({ namespace: 'taskcluster-x' }, { signer, userId: undefined, correlationId: 'c-1', signal, afterReply }),
      /no/,
    );
    assert.equal(reported.length, 0);
  });
});
