import assert from 'node:assert/strict';
import { WireError } from '../../src/contract/wire-errors.ts';
import { AgentError } from '../../src/util/agent-errors.ts';
import { makeInstallation, TEAM, teamNamespace, type TestInstallation } from '../support/agent.ts';
import { useSharedBroker } from '../support/broker.ts';
import { assertCredentialsWork, assertNamespaceIsComplete, assertNoRequestLeft } from '../support/claim-assertions.ts';
import { type Around, interceptManagement, interceptStore } from '../support/step-observer.ts';

/** The contract promises an answer within 10 s. */
const PROMISED_MS = 10_000;

/** Requests without a fault are answered immediately; a busy machine takes longer. */
const IMMEDIATELY_MS = 3_000;

/** The calls of a first claim to the store and the management API, in order. The insertion writes the nonce as well. */
const CALLS = [
  'nonces.get',
  'namespaces.get',
  'namespaces.insert',
  'management.putUser',
  'management.putPermissions',
  'namespaces.replace',
] as const;

const WRITES = CALLS.filter((call) => !call.endsWith('.get'));

describe('a store or a management API that fails', () => {
  useSharedBroker();

  it('and never answers: Unavailable in time, other requests are served, and the next claim completes it', async function () {
    this.timeout(60_000);
    const fault = createFault();
    const installation = await makeInstallation();
    const agent = await startWith(installation, fault.around);
    const rpc = await installation.rpc(TEAM);

    // For each call there is one claim whose call is never answered.
    const stuck = [];
    for (const step of CALLS) {
      const met = fault.next(step, () => new Promise(() => undefined));
      const namespace = teamNamespace();
      const startedMs = performance.now();
      const ended = rpc.request('claim-namespace', { namespace }).then(
        () => assert.fail(`a claim whose ${step} hangs should fail`),
        (error: unknown) => ({ step, namespace, error, tookMs: performance.now() - startedMs }),
      );
      await met;
      stuck.push(ended);
    }

    const startedMs = performance.now();
    await assertCredentialsWork(await rpc.request('claim-namespace', { namespace: teamNamespace() }));
    await rpc.request('ping', {});
    assert.ok(performance.now() - startedMs < IMMEDIATELY_MS, 'other requests should not wait for the stuck ones');

    for (const { step, namespace, error, tookMs } of await Promise.all(stuck)) {
      assertUnavailable(error, step);
      assert.ok(tookMs < PROMISED_MS, `${step} hangs, and the answer took ${Math.round(tookMs)} ms`);
      const claimed = await rpc.request('claim-namespace', { namespace });
      await assertNamespaceIsComplete(installation, rpc, claimed);
    }
    await agent.stop();
    await assertNoRequestLeft(installation);
  });

  it('and answers late: other requests are served first, and then the claim', async () => {
    const fault = createFault();
    const installation = await makeInstallation();
    await startWith(installation, fault.around);
    const rpc = await installation.rpc(TEAM);
    for (const step of CALLS) {
      const met = fault.next(step, async (call) => {
        await rpc.request('ping', {});
        return await call();
      });
      const claimed = await rpc.request('claim-namespace', { namespace: teamNamespace() });
      await met;
      await assertNamespaceIsComplete(installation, rpc, claimed);
    }
  });

  for (const step of WRITES) {
    it(`and writes, but reports a failure (${step}): the next claim completes it`, async () => {
      const fault = createFault();
      const installation = await makeInstallation();
      const agent = await startWith(installation, fault.around);
      const rpc = await installation.rpc(TEAM);
      const namespace = teamNamespace();

      const met = fault.next(step, async (call) => {
        await call();
        const code = step.startsWith('management.') ? 'BrokerUnavailable' : 'StoreUnavailable';
        throw new AgentError(code, 'The answer was lost.');
      });
      const refused = await rpc.request('claim-namespace', { namespace }).catch((error: unknown) => error);
      await met;
      assertUnavailable(refused, step);

      const claimed = await rpc.request('claim-namespace', { namespace });
      await assertNamespaceIsComplete(installation, rpc, claimed);
      await agent.stop();
      await assertNoRequestLeft(installation);
    });
  }
});

function assertUnavailable(error: unknown, step: string): void {
  assert.ok(error instanceof WireError, `${step}: ${String(error)}`);
  assert.equal(error.code, 'Unavailable', `${step}: ${error.message}`);
  assert.equal(error.retryable, true);
  assert.doesNotMatch(error.message, /No reply arrived/, `${step}: the agent itself should answer`);
}

async function startWith(installation: TestInstallation, around: Around) {
  return await installation.start({
    wrapStore: (store) => interceptStore(store, around),
    wrapManagement: (management) => interceptManagement(management, around),
  });
}

type Act = (call: () => Promise<unknown>) => Promise<unknown>;

/** A fault for the next call of one kind. */
function createFault(): {
  around: Around;
  /** Replaces the next call of this kind by `act`; resolves when that has happened. */
  next(step: string, act: Act): Promise<void>;
} {
  let set: { step: string; act: Act; onMet: () => void } | undefined;
  return {
    async around(step, call) {
      if (set?.step !== step) return await call();
      const { act, onMet } = set;
      set = undefined;
      onMet();
      return await act(call);
    },
    next: (step, act) =>
      new Promise((resolve) => {
        set = { step, act, onMet: resolve };
      }),
  };
}
