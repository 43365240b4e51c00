import assert from 'node:assert/strict';
import { makeInstallation, useInstallation } from '../support/agent.ts';
import { sharedBroker } from '../support/broker.ts';
import { concurrentTests } from '../support/concurrent-tests.ts';
import { makeRelay } from '../support/tcp-relay.ts';
import { type Driver, type DriverProgram, startDriver } from './driver.ts';
import { mismatch } from './matching.ts';
import { playSituation, type Stage } from './play-situation.ts';
import { readBehaviour, type Situation } from './situations.ts';
import { type Trace, traceRequests } from './traced-requests.ts';

/** A released name stays taken for more than `handshakeTimeoutSeconds`: longer than a situation needs. */
const STEADY = { rotationIntervalSeconds: 3600, handshakeTimeoutSeconds: 30, requireSealedReplies: true };
const ROTATING = { ...STEADY, rotationIntervalSeconds: 3 };

type Prepared = Omit<Stage, 'driver'>;

/**
 * The behaviour of a client library: plays all situations of `behaviour.json` with its driver.
 *
 * The format of the file is in `situations.ts`, what a driver has to do in `driver.ts`.
 *
 * @param program how to start the driver; called in the first hook
 */
export function behavesAsClient(program: () => DriverProgram | Promise<DriverProgram>): void {
  const { decisions, situations } = readBehaviour();
  const shared = { steady: useInstallation({ settings: STEADY }), rotating: useInstallation({ settings: ROTATING }) };
  const prepared = new Map<Situation, Prepared>();
  const traces: Trace[] = [];
  let started: DriverProgram;
  let driver: Driver;

  before('start the driver, and what situations do not share', async function () {
    this.timeout(120_000);
    started = await program();
    driver = startDriver(started);
    for (const each of Object.values(shared)) traces.push(await traceRequests(each()));
    for (const situation of situations) {
      const made = await prepare(situation);
      prepared.set(situation, made);
      if (!traces.includes(made.trace)) traces.push(made.trace);
    }
    // From now on it answers without delay.
    await driver.send({ do: 'decide-renewal', claimedMs: 0, reclaimMs: 0, random: 0 });
  });

  async function prepare({ installation }: Situation): Promise<Prepared> {
    const { amqpPort } = await sharedBroker();
    const relay = await makeRelay(amqpPort);
    if (installation === 'own') {
      const environment = { PUBLIC_AMQP_URL: `amqp://127.0.0.1:${relay.port}` };
      const made = await makeInstallation({ settings: ROTATING, environment });
      return { installation: made, agent: await made.start(), trace: await traceRequests(made), relay };
    }
    const [steady, rotating] = traces;
    const trace = installation === 'rotating' ? rotating : steady;
    assert.ok(trace !== undefined);
    const used = shared[installation ?? 'steady']();
    return { installation: used, agent: used.agent, trace, relay };
  }

  for (const { title, do: name, with: input, gives } of decisions) {
    it(title, async () => {
      const fault = mismatch(await driver.send({ ...input, do: name }), gives);
      assert.equal(fault, undefined, fault);
    });
  }

  concurrentTests((it) => {
    for (const situation of situations) {
      it(situation.title, async () => {
        const stage = prepared.get(situation);
        assert.ok(stage !== undefined);
        await playSituation(situation, {
          ...stage,
          driver: situation.driver === 'own' ? startDriver(started) : driver,
        });
      });
    }
  });

  it('asks for sealed results only, and signs each request with a nonce of its own', () => {
    const requests = traces.flatMap((trace) => trace.requests);
    const claims = requests.filter(({ method }) => method === 'claim-namespace');
    assert.ok(claims.length > situations.length);
    assert.deepEqual(
      claims.filter(({ replyKey }) => replyKey === undefined),
      [],
    );
    assertDifferent(claims.map(({ replyKey }) => replyKey));
    assertDifferent(requests.flatMap(({ nonce }) => nonce ?? []));
    assertDifferent(requests.map(({ correlationId }) => correlationId));
    const readable = traces.flatMap(({ replies }) => replies).filter(({ text }) => text.includes('connectionString'));
    assert.equal(readable.length, 0);
  });

  it('leaves nothing behind that holds the process', async () => {
    assert.deepEqual(await driver.end(), { status: 0, stderr: '' });
  });
}

function assertDifferent(values: readonly unknown[]): void {
  assert.equal(new Set(values).size, values.length);
}
