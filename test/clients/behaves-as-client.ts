import assert from 'node:assert/strict';
import { makeInstallation, useInstallation } from '../support/agent.ts';
import { sharedBroker } from '../support/broker.ts';
import { concurrentTests } from '../support/concurrent-tests.ts';
import { makeRelay } from '../support/tcp-relay.ts';
import { type Driver, type DriverProgram, startDriver } from './driver.ts';
import { mismatch } from './matching.ts';
import { playSituation } from './play-situation.ts';
import { readBehaviour, type Situation } from './situations.ts';
import { type Trace, traceRequests } from './traced-requests.ts';

/** A released name stays taken for more than `handshakeTimeoutSeconds`: longer than a situation needs. */
const SETTINGS = { rotationIntervalSeconds: 3, handshakeTimeoutSeconds: 30, requireSealedReplies: true };

/**
 * The behaviour of a client library: plays all situations of `behaviour.json` with its driver.
 *
 * The format of the file is in `situations.ts`, what a driver has to do in `driver.ts`.
 *
 * @param program how to start the driver; called in the first hook
 */
export function behavesAsClient(program: () => DriverProgram | Promise<DriverProgram>): void {
  const { decisions, situations } = readBehaviour();
  const installation = useInstallation({ settings: SETTINGS });
  const traces: Trace[] = [];
  let started: DriverProgram;
  let driver: Driver;

  before('start the driver', async () => {
    started = await program();
    driver = startDriver(started);
    traces.push(await traceRequests(installation()));
  });

  for (const { title, do: name, with: input, gives } of decisions) {
    it(title, async () => {
      const fault = mismatch(await driver.send({ ...input, do: name }), gives);
      assert.equal(fault, undefined, fault);
    });
  }

  concurrentTests((it) => {
    for (const situation of situations) it(situation.title, () => play(situation));
  });

  async function play(situation: Situation): Promise<void> {
    const own = situation.driver === 'own' ? startDriver(started) : driver;
    const { amqpPort } = await sharedBroker();
    const relay = await makeRelay(amqpPort);
    const [trace] = traces;
    assert.ok(trace !== undefined);
    if (situation.installation !== 'own') {
      const shared = installation();
      return await playSituation(situation, { driver: own, installation: shared, agent: shared.agent, trace, relay });
    }
    const made = await makeInstallation({
      settings: SETTINGS,
      environment: { PUBLIC_AMQP_URL: `amqp://127.0.0.1:${relay.port}` },
    });
    const agent = await made.start();
    const ofOwn = await traceRequests(made);
    traces.push(ofOwn);
    await playSituation(situation, { driver: own, installation: made, agent, trace: ofOwn, relay });
  }

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
    const readable = traces.flatMap(({ replies }) => replies).filter((reply) => reply.includes('connectionString'));
    assert.equal(readable.length, 0);
  });

  it('leaves nothing behind that holds the process', async () => {
    assert.deepEqual(await driver.end(), { status: 0, stderr: '' });
  });
}

function assertDifferent(values: readonly unknown[]): void {
  assert.equal(new Set(values).size, values.length);
}
