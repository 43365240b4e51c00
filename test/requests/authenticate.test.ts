import assert from 'node:assert/strict';
import { WireError } from '../../src/contract/wire-errors.ts';
import { payloadHash, readAuthorization, type SigningInput, signRequest } from '../../src/contract/signature.ts';
import { createAuthenticate, type SignedRequest } from '../../src/requests/authenticate.ts';
import type { AuthOutcome, TaskclusterAuth } from '../../src/requests/taskcluster-auth.ts';
import { DIRECT_ADDRESS } from '../support/deliveries.ts';
import type { NonceStore } from '../../src/store/nonce-records.ts';
import { createManualClock } from '../support/manual-clock.ts';
import { createMemoryStore } from '../support/memory-store.ts';

const never = new AbortController().signal;
const content = Buffer.from('{"namespace":"taskcluster-x"}');
const OTHER_BODY = Buffer.from('{"namespace":"taskcluster-y"}');

/** The agent's check with a Taskcluster that accepts every signature and echoes its hash, except for what is given. */
function setUp(answer: () => object = () => ({}), nonces: NonceStore = createMemoryStore().nonces) {
  const clock = createManualClock();
  const asked: Parameters<TaskclusterAuth['authenticate']>[0][] = [];
  const authenticator: TaskclusterAuth = {
    async authenticate(signed) {
      asked.push(signed);
      const { hash, id } = readAuthorization(signed.authorization);
      const special = answer();
      if (special instanceof Error) throw special;
      const success = { status: 'auth-success', clientId: id, scopes: ['a'], hash, expires: '2026-11-25T00:00:00Z' };
      return { ...success, ...special } as AuthOutcome;
    },
    async probe() {},
    close() {},
  };
  const authenticate = createAuthenticate({
    authenticator,
    nonces,
    clock,
    audience: 'pulse-agent',
    maxSkewMs: 300_000,
  });
  return { clock, asked, nonces, authenticate };
}

/** A signed request; `signing` changes what is signed, `given` what is delivered. */
function request(
  nowMs: number,
  given: Partial<SignedRequest> = {},
  signing: Partial<SigningInput> = {},
): SignedRequest {
  const { authorization } = signRequest({
    method: 'claim-namespace',
    body: content,
    replyTo: 'amq.rabbitmq.reply-to',
    correlationId: 'c-1',
    audience: 'pulse-agent',
    credentials: { clientId: 'project/x', accessToken: 'token' },
    timestampSeconds: nowMs / 1000,
    nonce: 'n-1',
    ...signing,
  });
  return {
    method: 'claim-namespace',
    content,
    correlationId: 'c-1',
    replyTo: DIRECT_ADDRESS,
    authorization,
    ...given,
  };
}

function refused(code: string, message: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof WireError, String(error));
    assert.equal(error.code, code);
    assert.match(error.message, message);
    return true;
  };
}

describe('authenticate', () => {
  it('asks Taskcluster about the signed request each time, and returns the signer', async () => {
    const { clock, asked, authenticate } = setUp();
    const signed = request(clock.nowMs());
    const signer = await authenticate(signed, never);
    assert.deepEqual(asked, [
      {
        method: 'post',
        resource: '/v1/claim-namespace?replyTo=amq.rabbitmq.reply-to&correlationId=c-1',
        host: 'pulse-agent',
        port: 443,
        authorization: signed.authorization,
      },
    ]);
    assert.equal(signer.clientId, 'project/x');
    assert.deepEqual(signer.scopes, ['a']);
    await authenticate(signed, never);
    assert.equal(asked.length, 2);
  });

  it('takes the signer from Taskcluster, not from the header', async () => {
    const { clock, authenticate } = setUp(() => ({ clientId: 'project/issued-by' }));
    assert.equal((await authenticate(request(clock.nowMs()), never)).clientId, 'project/issued-by');
  });

  // Cheap checks come before the call to Taskcluster, so that junk does not load it.
  const hash = payloadHash(content);
  const junk: [string, (authorization: string) => unknown, RegExp][] = [
    ['no signature', () => undefined, /is missing: sign the request/],
    ['an empty signature', () => '', /is missing: sign the request/],
    ['a signature over 4096 characters', (header) => header.padEnd(4097), /at most 4096 characters/],
    ['a signature that is no text', () => Buffer.from('Hawk'), /must be text/],
    ['another scheme', () => 'Bearer x', /scheme Hawk/],
    ['no hash', (header) => header.replace(/, hash="[^"]*"/, ''), /must have a hash over the body/],
    ['a short hash', (header) => header.replace(hash, hash.slice(4)), /must have a hash over the body/],
    [
      'the hash of another body',
      (header) => header.replace(hash, payloadHash(Buffer.from('{}'))),
      /does not cover this b/,
    ],
    ['a ts that is no number', (header) => header.replace(/ts="\d+"/, 'ts="abc"'), /ts of exactly ten digits/],
    ['a ts of eleven digits', (header) => header.replace(/ts="/, 'ts="0'), /ts of exactly ten digits/],
    ['a ts in hexadecimal', (header) => header.replace(/ts="\d+"/, 'ts="0x6ab3c410"'), /ts of exactly ten digits/],
    ['an id that no client can have', (header) => header.replace(/id="[^"]*"/, 'id="a b"'), /an id of 1 to 256/],
    ['no nonce', (header) => header.replace(/, nonce="[^"]*"/, ''), /must have a nonce/],
  ];
  for (const [what, change, message] of junk) {
    it(`refuses ${what} without a call to Taskcluster`, async () => {
      const { clock, asked, authenticate } = setUp();
      const { authorization, ...rest } = request(clock.nowMs());
      const changed = { ...rest, authorization: change(String(authorization)) };
      assert.notEqual(changed.authorization, authorization);
      await assert.rejects(authenticate(changed, never), refused('AuthenticationFailed', message));
      assert.equal(asked.length, 0);
    });
  }

  for (const [what, offsetMs] of [
    ['in the past', -300_000],
    ['in the future', 300_000],
  ] as const) {
    it(`accepts a time as far ${what} as clocks may differ, and refuses the next second without a call`, async () => {
      const { clock, asked, authenticate } = setUp();
      await authenticate(request(clock.nowMs() + offsetMs), never);
      const beyond = request(clock.nowMs() + offsetMs + Math.sign(offsetMs) * 1000, {}, { nonce: 'n-2' });
      await assert.rejects(authenticate(beyond, never), {
        code: 'AuthenticationFailed',
        details: { agentTime: '2026-11-24T12:00:00.000Z' },
      });
      assert.equal(asked.length, 1);
    });
  }

  it('refuses what Taskcluster refuses, with its reason', async () => {
    const failed = setUp(() => ({ status: 'auth-failed', message: 'Bad mac' }));
    const attempt = failed.authenticate(request(failed.clock.nowMs()), never);
    await assert.rejects(attempt, refused('AuthenticationFailed', /Bad mac/));
    const none = setUp(() => ({ status: 'no-auth' }));
    await assert.rejects(
      none.authenticate(request(none.clock.nowMs()), never),
      refused('AuthenticationFailed', /no credentials/),
    );
  });

  it('says at a wrong MAC what may differ from what was signed, and for which audience this agent is', async () => {
    const failed = setUp(() => ({ status: 'auth-failed', message: 'Unauthorized: Bad mac' }));
    const hint =
      /Bad mac.*access token.*audience.*method.*reply address.*correlation id.*body.*audience is pulse-agent/;
    const attempt = failed.authenticate(request(failed.clock.nowMs()), never);
    await assert.rejects(attempt, refused('AuthenticationFailed', hint));
    const other = setUp(() => ({ status: 'auth-failed', message: "Client with clientId 'x' not found" }));
    await assert.rejects(other.authenticate(request(other.clock.nowMs()), never), (error: Error) => {
      assert.doesNotMatch(error.message, /audience/);
      return true;
    });
  });

  it('compares the hash that Taskcluster echoes, whatever the header says', async () => {
    for (const echoed of [payloadHash(Buffer.from('{}')), '', hash.slice(1), undefined]) {
      const { clock, authenticate } = setUp(() => ({ hash: echoed }));
      await assert.rejects(
        authenticate(request(clock.nowMs()), never),
        refused('AuthenticationFailed', /does not cover this body/),
      );
    }
  });

  it('reports that Taskcluster does not answer', async () => {
    const failure = new Error('down');
    const { clock, authenticate } = setUp(() => failure);
    await assert.rejects(authenticate(request(clock.nowMs()), never), failure);
  });

  describe('for a used nonce', () => {
    it('serves a redelivery, and returns when the request was first seen', async () => {
      const { clock, nonces, authenticate } = setUp();
      const signed = request(clock.nowMs());
      const first = await authenticate(signed, never);
      assert.equal(first.nonce.entry.firstSeenMs, clock.nowMs());
      await first.nonce.remember();
      await nonces.recordOutcome(first.nonce.entry.key, '{}');
      clock.advance(1000);
      const second = await authenticate(signed, never);
      assert.deepEqual(second.nonce.entry, { ...first.nonce.entry, outcome: '{}' });
    });

    for (const [what, given, signing] of [
      ['reply address', { replyTo: `${DIRECT_ADDRESS}b` }, {}],
      ['correlation id', { correlationId: 'c-2' }, { correlationId: 'c-2' }],
      ['body', { content: OTHER_BODY }, { body: OTHER_BODY }],
      ['method', { method: 'release-namespace' }, { method: 'release-namespace' }],
    ] as const) {
      it(`refuses a request with another ${what}`, async () => {
        const { clock, authenticate } = setUp();
        const first = await authenticate(request(clock.nowMs()), never);
        const other = request(clock.nowMs(), given, signing);
        await first.nonce.remember();
        await assert.rejects(authenticate(other, never), { code: 'ReplayDetected' });
      });
    }

    it('refuses it to others before it is stored, as long as its request is not answered', async () => {
      const { clock, nonces, authenticate } = setUp();
      const other = request(clock.nowMs(), { replyTo: `${DIRECT_ADDRESS}b` });
      const first = await authenticate(request(clock.nowMs()), never);
      assert.deepEqual([first.nonce.isStored, await nonces.get(first.nonce.entry.key)], [false, undefined]);
      await assert.rejects(authenticate(other, never), { code: 'ReplayDetected' });
      // Delivered again meanwhile.
      await authenticate(request(clock.nowMs()), never);
      await assert.rejects(authenticate(other, never), { code: 'ReplayDetected' });
      first.nonce.end();
      const second = await authenticate(other, never);
      await second.nonce.remember();
      assert.deepEqual(await nonces.get(second.nonce.entry.key), second.nonce.entry);
    });

    it('serves one of the requests that agents found unused, and refuses the others when they store it', async () => {
      const { clock, nonces, authenticate } = setUp();
      const others = [setUp(undefined, nonces), setUp(undefined, nonces)] as const;
      const elsewhere = request(clock.nowMs(), { replyTo: `${DIRECT_ADDRESS}b` });
      const first = await authenticate(request(clock.nowMs()), never);
      const second = await others[0].authenticate(elsewhere, never);
      const third = await others[1].authenticate(elsewhere, never);
      await first.nonce.remember();
      assert.deepEqual([first.nonce.isStored, await nonces.get(first.nonce.entry.key)], [true, first.nonce.entry]);
      await assert.rejects(second.nonce.remember(), { code: 'ReplayDetected' });
      await assert.rejects(
        third.nonce.writeWith(async () => false),
        { code: 'ReplayDetected' },
      );
      assert.deepEqual([second.nonce.isStored, third.nonce.isStored], [false, false]);
    });

    it('forgets it when the request is aborted or the store fails', async () => {
      const { nonces } = createMemoryStore();
      let isFailing = false;
      const get = async (key: string) => (isFailing ? Promise.reject(new Error('no store')) : await nonces.get(key));
      const { clock, authenticate } = setUp(undefined, { ...nonces, get });
      const [signed, other] = [request(clock.nowMs()), request(clock.nowMs(), { replyTo: `${DIRECT_ADDRESS}b` })];
      await assert.rejects(authenticate(signed, AbortSignal.abort(new Error('late'))), /late/);
      isFailing = true;
      await assert.rejects(authenticate(signed, never), /no store/);
      isFailing = false;
      await authenticate(other, never);
    });

    it('serves both of two deliveries of one request that found it unused', async () => {
      const { clock, authenticate } = setUp();
      const [first, second] = [
        await authenticate(request(clock.nowMs()), never),
        await authenticate(request(clock.nowMs()), never),
      ];
      assert.equal(await first.nonce.writeWith(async (entry) => entry !== undefined), true);
      await first.nonce.remember();
      const given: unknown[] = [];
      const write = async (entry: unknown): Promise<boolean> => given.push(entry) > 1;
      // Here `first` has stored nothing, so that the second write has its nonce, too.
      assert.equal(await second.nonce.writeWith(write), false);
      assert.equal(await second.nonce.writeWith(write), true);
      assert.deepEqual(given, [second.nonce.entry, second.nonce.entry]);
    });

    it('stores it at once for a method that writes nothing with it', async () => {
      const { clock, nonces, authenticate } = setUp();
      const method = 'release-namespace';
      const { nonce } = await authenticate(request(clock.nowMs(), { method }, { method }), never);
      assert.deepEqual(await nonces.get(nonce.entry.key), nonce.entry);
    });

    it('lets another client use the nonce', async () => {
      const { clock, authenticate } = setUp();
      await authenticate(request(clock.nowMs()), never);
      const credentials = { clientId: 'project/y', accessToken: 'token' };
      await authenticate(
        request(clock.nowMs(), { correlationId: 'c-2' }, { correlationId: 'c-2', credentials }),
        never,
      );
    });

    it('stores the nonces of valid signatures only, so that no client can use up those of another', async () => {
      let status: AuthOutcome['status'] = 'auth-failed';
      const { clock, authenticate } = setUp(() => ({ status, message: 'Bad mac' }));
      await assert.rejects(authenticate(request(clock.nowMs(), { replyTo: `${DIRECT_ADDRESS}b` }), never));
      status = 'auth-success';
      await authenticate(request(clock.nowMs()), never);
    });

    it('stores it for as long as any agent may accept it', async () => {
      const { clock, nonces, authenticate } = setUp();
      const signedMs = clock.nowMs() + 300_000;
      const { nonce } = await authenticate(request(signedMs), never);
      await nonce.remember();
      assert.equal(nonce.entry.acceptableUntilMs, signedMs + 600_000);
      assert.equal(await nonces.prune(signedMs + 300_000), 0);
    });
  });
});
