import assert from 'node:assert/strict';
import { once } from 'node:events';
import * as fc from 'fast-check';
import {
  AuthenticationFailed,
  BrokerRefused,
  ClientClosed,
  InsufficientScopes,
  LeaseLost,
  type PulseAgentError,
  RequestConflict,
  Unavailable,
} from '../../src/client/client-errors.ts';
import { Lease } from '../../src/client/lease.ts';
import type { ResultBody } from '../../src/contract/methods.ts';
import { createVirtualTime, type VirtualTime } from '../support/virtual-time.ts';

const NOW = Date.parse('2026-11-24T12:00:00Z');
const MINUTE = 60_000;
const INTERVAL = 60 * MINUTE;

type Claim = ResultBody<'claim-namespace'>;

/** An agent that follows the contract, and RabbitMQ: credentials work until the rotation into their slot. */
class World {
  readonly time: VirtualTime;
  /** The failure of claims, instead of an agent. */
  fault: PulseAgentError | undefined;
  /** The failure of claims with the credentials of the lease, instead of an agent. */
  holderFault: PulseAgentError | undefined;
  claims = 0;
  claimsAsHolder = 0;
  #rotating = true;
  #rotations = 0;
  #nextMs = NOW + INTERVAL;

  constructor(random?: () => number) {
    this.time = createVirtualTime(NOW, random);
  }

  /** Whether an agent runs and rotates; missed rotations are done once. */
  set rotating(rotating: boolean) {
    this.#rotate();
    if (rotating) this.#nextMs = Math.max(this.#nextMs, this.time.nowMs());
    this.#rotating = rotating;
  }

  #rotate(): void {
    while (this.#rotating && this.#nextMs <= this.time.nowMs()) {
      this.#rotations += 1;
      this.#nextMs += INTERVAL;
    }
  }

  /** Whether these credentials open a connection now: the two latest generations do. */
  works(connectionString: string): boolean {
    this.#rotate();
    return this.#rotations - Number(connectionString.split('/').at(-1)) <= 1;
  }

  claim(): Claim {
    this.claims += 1;
    if (this.fault !== undefined) throw this.fault;
    this.#rotate();
    const nowMs = this.time.nowMs();
    return {
      namespace: 'taskcluster-x',
      created: new Date(NOW).toISOString(),
      expires: new Date(nowMs + 240 * MINUTE).toISOString(),
      reclaimAt: new Date(Math.max(this.#nextMs, nowMs) + INTERVAL / 2).toISOString(),
      connectionString: `amqp://generation/${this.#rotations}`,
    };
  }

  lease(): Watched {
    const events: string[] = [];
    const lease = new Lease(this.claim(), {
      claim: async () => this.claim(),
      claimWith: async (connectionString) => {
        this.claimsAsHolder += 1;
        if (this.holderFault !== undefined) throw this.holderFault;
        if (!this.works(connectionString)) throw new BrokerRefused('RabbitMQ refuses the user or its password.');
        return this.claim();
      },
      release: async () => void events.push('released'),
      onStopped: () => undefined,
      time: this.time,
    });
    let lost: LeaseLost | undefined;
    lease.on('renewed', ({ changed }) => events.push(changed ? 'renewed' : 'same'));
    lease.on('failing', () => events.push('failing'));
    lease.on('lost', (error) => {
      events.push('lost');
      lost = error;
    });
    return { lease, events, lost: () => lost };
  }
}

interface Watched {
  readonly lease: Lease;
  /** The names of its events. */
  readonly events: string[];
  readonly lost: () => LeaseLost | undefined;
}

const away = new Unavailable('Unavailable', 'No answer.');

describe('A lease', () => {
  it('holds working credentials at all times, for days', async () => {
    const world = new World();
    const { lease, events } = world.lease();
    for (let minute = 0; minute < 3 * 24 * 60; minute += 5) {
      await world.time.advance(5 * MINUTE);
      assert.ok(world.works(lease.connectionString));
      assert.ok(world.time.nowMs() < lease.reclaimAt.getTime());
    }
    assert.ok(events.every((event) => event === 'renewed'));
    // About one claim for each rotation.
    assert.ok(world.claims < 80, `${world.claims} claims`);
    await lease.stop();
  });

  it('survives an hour without an agent, reports it, and continues', async () => {
    const world = new World();
    const { lease, events } = world.lease();
    await world.time.advance(60 * MINUTE);
    world.fault = away;
    world.rotating = false;
    await world.time.advance(60 * MINUTE);
    assert.ok(world.time.nowMs() > lease.reclaimAt.getTime());
    assert.ok(events.length > 20 && events.every((event) => event === 'failing'), events.join());
    assert.deepEqual(await lease.credentials(), {
      connectionString: 'amqp://generation/0',
      recycleAt: new Date(world.time.nowMs() + 5 * MINUTE),
    });
    world.fault = undefined;
    world.rotating = true;
    await world.time.advance(2 * MINUTE);
    assert.equal(events.at(-1), 'renewed');
    assert.ok(world.works(lease.connectionString));
    await lease.stop();
  });

  it('is not lost when RabbitMQ refuses the vhost of the requests, which says nothing about the credentials', async () => {
    const world = new World();
    const { lease, events, lost } = world.lease();
    world.fault = new BrokerRefused('RabbitMQ refuses the vhost.', { details: { refused: 'vhost' } });
    world.holderFault = world.fault;
    await world.time.advance(INTERVAL * 3);
    assert.ok(events.includes('failing') && world.claimsAsHolder > 0);
    assert.equal(lost(), undefined);
    await lease.stop();
  });

  it('that is lost gives no dead credentials, and warns where nothing listens', async () => {
    const world = new World();
    const { lease } = world.lease();
    lease.removeAllListeners('lost');
    const warned = once(process, 'warning');
    world.fault = new InsufficientScopes('InsufficientScopes', 'The client lacks the scope.');
    await world.time.advance(INTERVAL * 2);
    const [warning] = (await warned) as [unknown];
    assert.ok(warning instanceof LeaseLost);
    assert.throws(() => lease.connectionString, warning);
    await assert.rejects(lease.credentials(), warning);
  });

  it('that was stopped gives its credentials, which work on, and one that was released does not', async () => {
    const world = new World();
    const [stopped, released] = [world.lease().lease, world.lease().lease];
    await stopped.stop();
    assert.match(stopped.connectionString, /^amqp:/);
    await released.stop({ release: true });
    assert.throws(() => released.connectionString, ClientClosed);
  });

  it('is lost when the namespace expires before an agent comes back', async () => {
    const world = new World();
    const watched = world.lease();
    world.fault = away;
    world.rotating = false;
    await world.time.advance(240 * MINUTE - 1);
    assert.equal(watched.lost(), undefined);
    await world.time.advance(1);
    assert.equal(watched.lost()?.details.reason, 'expired');
    assert.equal(watched.events.filter((event) => event === 'lost').length, 1);
    const { claims } = world;
    await world.time.advance(60 * MINUTE);
    assert.equal(world.claims, claims, 'it claims no more');
    await assert.rejects(watched.lease.credentials(), LeaseLost);
  });

  it('is lost when the agent refuses the signature and rotates, but not before RabbitMQ refuses the credentials', async () => {
    const world = new World();
    const watched = world.lease();
    world.fault = new AuthenticationFailed('AuthenticationFailed', 'The access token is wrong.');
    await world.time.advance(119 * MINUTE);
    assert.equal(watched.lost(), undefined);
    assert.ok(world.works(watched.lease.connectionString));
    await world.time.advance(3 * MINUTE);
    assert.equal(watched.lost()?.details['reason'], 'refused');
    assert.match(watched.lost()?.message ?? '', /The access token is wrong\.$/);
  });

  for (const [reason, fault] of [
    ['scopes', new InsufficientScopes('InsufficientScopes', 'The scope is gone.')],
    ['taken-away', new RequestConflict('RequestConflict', 'It is being deleted.')],
  ] as const) {
    it(`is lost immediately: ${reason}`, async () => {
      const world = new World();
      const watched = world.lease();
      world.fault = fault;
      await world.time.advance(86 * MINUTE);
      assert.equal(watched.lost()?.details['reason'], reason);
      assert.equal(watched.lost()?.cause, fault);
      assert.deepEqual(watched.events, ['lost']);
    });
  }

  it('claims with its own credentials when the claimant is refused', async () => {
    const world = new World();
    const { lease, events } = world.lease();
    const claimed = world.claim.bind(world);
    world.claim = () => {
      if (world.claimsAsHolder === 0) throw new BrokerRefused('RabbitMQ refuses the claimant.');
      return claimed();
    };
    await world.time.advance(86 * MINUTE);
    assert.deepEqual(events, ['renewed']);
    await lease.stop();
  });

  it('is not late after the clock is set back, nor after a suspension', async () => {
    for (const shiftMs of [-INTERVAL, 80 * MINUTE]) {
      const world = new World();
      const { lease } = world.lease();
      const { time } = world;
      await time.advance(MINUTE);
      const claimedMs = time.monotonicMs();
      time.setWall(time.nowMs() + shiftMs);
      for (let minutes = 0; world.claims === 1 && minutes < 600; minutes += 1) await time.advance(MINUTE);
      const waitedMs = time.monotonicMs() - claimedMs;
      assert.ok(waitedMs <= 86 * MINUTE - Math.max(0, shiftMs), `claimed ${waitedMs / MINUTE} minutes later`);
      await lease.stop();
    }
  });

  it('claims again for a new connection', async () => {
    const world = new World();
    const { lease, events } = world.lease();
    await lease.credentials();
    assert.equal(world.claims, 1, 'a claim of a moment ago is fresh');
    await world.time.advance(MINUTE);
    const both = await Promise.all([lease.credentials(), lease.credentials()]);
    assert.equal(world.claims, 2, 'two concurrent calls share a claim');
    assert.deepEqual(both[0], { connectionString: lease.connectionString, recycleAt: lease.reclaimAt });
    await world.time.advance(0);
    assert.deepEqual(events, ['same']);
    await lease.stop();
  });

  it('waits five seconds for a claim, and then returns its current credentials', async () => {
    const world = new World();
    const { lease } = world.lease();
    await world.time.advance(MINUTE);
    const claimed = world.claim.bind(world);
    const hanging: (() => void)[] = [];
    world.claim = () => new Promise<void>((resolve) => hanging.push(resolve)).then(claimed) as unknown as Claim;
    let given: unknown;
    void lease.credentials().then((credentials) => (given = credentials));
    await world.time.advance(4999);
    assert.equal(given, undefined);
    await world.time.advance(1);
    assert.deepEqual(given, { connectionString: 'amqp://generation/0', recycleAt: lease.reclaimAt });
    for (const go of hanging) go();
    await lease.stop();
  });

  it('stops claiming after stop(), and releases on request', async () => {
    const world = new World();
    const { lease, events } = world.lease();
    await lease.stop({ release: true });
    await world.time.advance(600 * MINUTE);
    assert.equal(world.claims, 1);
    assert.deepEqual(events, ['released']);
    await assert.rejects(lease.credentials(), ClientClosed);
  });

  it('survives a listener that throws', async () => {
    const world = new World();
    const { lease, events } = world.lease();
    const thrown = new Promise<unknown>((resolve) => {
      const others = process.listeners('uncaughtException');
      process.removeAllListeners('uncaughtException');
      process.once('uncaughtException', (error) => {
        for (const other of others) process.on('uncaughtException', other);
        resolve(error);
      });
    });
    lease.once('renewed', () => {
      throw new Error('A bug of the program.');
    });
    await world.time.advance(86 * MINUTE);
    assert.match(String(await thrown), /A bug of the program/);
    await world.time.advance(120 * MINUTE);
    assert.deepEqual(new Set(events), new Set(['renewed']));
    await lease.stop();
  });

  it('shows no credentials when it is printed', async () => {
    const { inspect } = await import('node:util');
    const { lease } = new World().lease();
    assert.doesNotMatch(inspect(lease, { depth: 10, showHidden: true }), /amqp:/);
    await lease.stop();
  });

  it('holds working credentials through all failures after which the agent answers in time', async () => {
    const outage = fc.record({
      afterMinutes: fc.integer({ min: 1, max: 300 }),
      minutes: fc.integer({ min: 1, max: 55 }),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(outage, { minLength: 1, maxLength: 6 }),
        fc.double({ min: 0, max: 0.999, noNaN: true }),
        async (outages, random) => {
          const world = new World(() => random);
          const { lease, events } = world.lease();
          for (const { afterMinutes, minutes } of outages) {
            await world.time.advance(afterMinutes * MINUTE);
            // Without an agent there are no rotations.
            world.fault = away;
            world.rotating = false;
            await world.time.advance(minutes * MINUTE);
            assert.ok(world.works(lease.connectionString));
            world.fault = undefined;
            // The next attempt comes within a minute, before two rotations.
            await world.time.advance(MINUTE);
            world.rotating = true;
            assert.ok(world.works(lease.connectionString));
          }
          assert.ok(!events.includes('lost'));
          await lease.stop();
        },
      ),
      { numRuns: 15 },
    );
  });
});
