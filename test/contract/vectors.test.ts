import assert from 'node:assert/strict';
import { createHmac, createPrivateKey } from 'node:crypto';
import { compactDecrypt } from 'jose';
import { parseInstant } from '../../src/contract/fields.ts';
import { parseRequestBody, parseResult } from '../../src/contract/messages.ts';
import { open } from '../../src/contract/sealing.ts';
import { payloadHash, readAuthorization, signedResource, signRequest } from '../../src/contract/signature.ts';
import { vectors } from './vectors.ts';

describe('the published vectors', () => {
  it('are all used here', () => {
    const used = [
      'about',
      'requests',
      'encodings',
      'sealed',
      'sealedWithSeveralAddresses',
      'refusedReplyKeys',
      'instants',
      'refusedInstants',
      'contacts',
      'refusedContacts',
    ];
    assert.deepEqual(Object.keys(vectors), used);
    for (const list of Object.values(vectors)) assert.notEqual(Object.keys(list).length, 0);
  });

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
      const mac = createHmac('sha256', vector.credentials.accessToken).update(vector.normalized).digest('base64');
      assert.equal(read.mac, mac, 'the MAC is over the normalised string of the vector');
    });
  }

  it('match the encoding of the signed resource', () => {
    for (const { text, encoded } of vectors.encodings) {
      assert.equal(signedResource('ping', text, text), `/v1/ping?replyTo=${encoded}&correlationId=${encoded}`);
    }
  });

  for (const vector of ['sealed', 'sealedWithSeveralAddresses'] as const) {
    it(`open a result: ${vector}`, async () => {
      const { privateKey, jwe, plaintext } = vectors[vector];
      const key = createPrivateKey({ key: { ...privateKey }, format: 'jwk' });
      assert.equal(Buffer.from(open(jwe, key)).toString(), plaintext);
      // The judge shares no code with the agent and the client.
      assert.equal(Buffer.from((await compactDecrypt(jwe, key)).plaintext).toString(), plaintext);
      parseResult('claim-namespace', Buffer.from(plaintext));
    });
  }

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

  it('match the parsed instants', () => {
    for (const { text, ms } of vectors.instants) assert.equal(parseInstant(text), ms, text);
    for (const text of vectors.refusedInstants) assert.equal(parseInstant(text), undefined, text);
  });
});
