import assert from 'node:assert/strict';
import { importJWK } from 'jose';
import { parseInstant } from '../../src/contract/fields.ts';
import { parseRequestBody } from '../../src/contract/messages.ts';
import { open } from '../../src/contract/sealing.ts';
import { payloadHash, readAuthorization, signedResource, signRequest } from '../../src/contract/signature.ts';
import { vectors } from './vectors.ts';

describe('the published vectors', () => {
  for (const vector of vectors.requests) {
    it(`sign: ${vector.name}`, () => {
      const body = Buffer.from(vector.body);
      assert.equal(signedResource(vector.method, vector.replyTo, vector.correlationId), vector.resource);
      assert.equal(payloadHash(body), vector.payloadHash);
      const { authorization } = signRequest({ ...vector, body });
      assert.equal(authorization, vector.authorization);
      const read = readAuthorization(authorization);
      assert.equal(read.hash, vector.payloadHash);
      assert.equal(read.id, vector.credentials.clientId);
    });
  }

  it('open a sealed result', async () => {
    const { privateKey, jwe, plaintext } = vectors.sealed;
    const key = await importJWK({ ...privateKey }, 'ECDH-ES');
    assert.ok(!(key instanceof Uint8Array));
    assert.equal(Buffer.from(await open(jwe, key)).toString(), plaintext);
  });

  it('accept the reply key', () => {
    const body = { namespace: 'taskcluster-builds', replyKey: vectors.sealed.replyKey };
    assert.deepEqual(parseRequestBody('claim-namespace', Buffer.from(JSON.stringify(body))), body);
  });

  for (const { why, replyKey } of vectors.refusedReplyKeys) {
    it(`refuse a reply key: ${why}`, () => {
      const body = Buffer.from(JSON.stringify({ namespace: 'taskcluster-builds', replyKey }));
      assert.throws(() => parseRequestBody('claim-namespace', body), { code: 'InputError', message: /replyKey/ });
    });
  }

  it('read instants', () => {
    for (const { text, ms } of vectors.instants) assert.equal(parseInstant(text), ms, text);
    for (const text of vectors.refusedInstants) assert.equal(parseInstant(text), undefined, text);
  });
});
