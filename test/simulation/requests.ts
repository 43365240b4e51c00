import { setMaxListeners } from 'node:events';
import { credentialSettlementMs } from '../../src/namespaces/timing.ts';
import type { ClaimResult } from '../../src/namespaces/claim/claim.ts';
import type { ClaimInput } from '../../src/namespaces/claim/decide-claim.ts';
import type { Credential } from './credentials.ts';
import type { SimulatedAgent } from './simulated-agent.ts';
import type { Play } from './play.ts';
import { DEADLINE, type World } from './world.ts';
import type { NonceEntry } from '../../src/store/nonce-records.ts';

/** How long an agent may work on a request, in ms. */
const DEADLINE_MS = 9_000;

/** How long the signature of a request is stored, in ms, and so may be redelivered. */
const REMEMBERED_MS = 600_000;

/** A client claims, and mostly uses the credentials immediately. */
export function claim({ world, servingAgent, namespace: choose }: Play): void {
  const agent = servingAgent();
  if (agent === undefined) return;
  const { random, intervals } = world;
  const namespace = choose();
  const nowMs = agent.machine.clock.nowMs();
  const expiries = {
    none: undefined,
    soon: nowMs + intervals.rotationMs * random.between(0.05, 2),
    late: nowMs + intervals.rotationMs * random.between(2, 30),
  };
  const expiresMs = expiries[random.weighted({ none: 6, soon: 4, late: 1 })];
  const request = { namespace, expiresMs, contact: random.pick([undefined, null]), claimedBy: 'owner' };
  requests += 1;
  const key = `request ${requests}`;
  const deliverTo = (by: SimulatedAgent, replyAddress: string): void =>
    world.attempt(by, `claim of ${namespace}`, async () => {
      const result = await answerClaim(world, by, request, nonceEntryOf(key, by, replyAddress));
      const credential = world.invariants.credentialsHandedOut(result, by.machine.name);
      world.log(
        () =>
          `${namespace} is handed out with generation ${credential.generation} until ${Math.round(credential.untilMs)}`,
      );
      if (random.chance(0.7)) logIn(world, credential);
    });
  deliverTo(agent, 'reply');
  if (!random.chance(0.3)) return;
  // Delivered again, or replayed by somebody who wants the answer.
  const replyAddress = random.pick(['reply', 'elsewhere']);
  world.timeline.after(random.pick([0, random.between(0, 100), random.between(0, 20_000)]), () => {
    const other = servingAgent();
    if (other !== undefined) deliverTo(other, replyAddress);
  });
}

/** Serves a claim as the answer to a request: no answer leaves before its nonce is stored. */
async function answerClaim(
  world: World,
  agent: SimulatedAgent,
  request: ClaimInput,
  entry: NonceEntry,
): Promise<ClaimResult> {
  const nonce = await agent.useNonce(entry);
  try {
    const result = await agent.claim({ ...request, nonce }, deadline(agent));
    if (!nonce.isStored) throw new Error('The credentials leave before the nonce is stored.');
    return result;
  } catch (error) {
    if (!nonce.isStored) await nonce.remember();
    throw error;
  } finally {
    nonce.end();
    if (nonce.isStored) world.invariants.answered(entry.key, entry.replyAddress);
  }
}

/** The owner releases a namespace. The request may be redelivered, also to another agent. */
export function release(play: Play): void {
  const { world } = play;
  const namespace = play.namespace();
  if (world.random.chance(0.2)) logInBefore(world, namespace);
  world.invariants.requested('release', namespace);
  serveOnceOrTwice(play, `release of ${namespace}`, async (agent, nonce) => {
    const { record } = await agent.release({ namespace, nonce }, deadline(agent));
    // After the reply, in the background.
    if (record !== undefined) {
      world.attempt(agent, `deletion of ${namespace}`, () => agent.delete([namespace], agent.signal));
    }
  });
}

/** An operator revokes the credentials of a namespace. */
export function revoke(play: Play): void {
  const { world } = play;
  const { random, intervals } = world;
  const namespace = play.namespace();
  if (random.chance(0.4)) logInBefore(world, namespace);
  const refusedMs = random.chance(0.3) ? intervals.rotationMs * random.between(0.1, 2) : undefined;
  world.invariants.requested('revocation', namespace);
  serveOnceOrTwice(play, `revocation of ${namespace}`, async (agent, nonce) => {
    const untilMs = refusedMs === undefined ? undefined : nonce.firstSeenMs + refusedMs;
    await agent.revoker.revoke({ namespace, untilMs, nonce }, deadline(agent));
    // As the job does, on any agent.
    world.timeline.after(credentialSettlementMs(intervals) + random.between(0, 200), () => {
      const other = play.servingAgent();
      if (other === undefined) return;
      world.attempt(other, `finish (${namespace})`, () => other.revoker.finish(namespace, other.signal));
    });
  });
}

/** A client logs in with credentials that it got at some time, perhaps long ago. */
export function connect({ world }: Play): void {
  const { credentials, random } = world;
  if (credentials.all.length > 0) logIn(world, random.pick(credentials.all.slice(-6)));
}

/** How often a client that has logged in waits before it opens its connection. */
const WAITING_RATE = 0.15;

function logIn({ broker, intervals, random, log }: World, credential: Credential, waitingRate = WAITING_RATE): void {
  const { handshakeMs } = intervals;
  const lateMs = random.chance(0.5) ? random.between(0.9, 1) * handshakeMs : random.between(0, handshakeMs);
  const waitMs = random.chance(waitingRate) ? lateMs : 0;
  const how = waitMs === 0 ? '' : ` and opens ${Math.round(waitMs)} ms later`;
  log(() => `a client logs in to ${credential.account}, generation ${credential.generation}${how}`);
  const side = broker.cutOff !== undefined && random.chance(1 / 3) ? broker.cutOff : broker;
  side.connect(credential, waitMs);
}

/** A client logs in before it loses its credentials, and opens its connection afterwards. */
function logInBefore(world: World, namespace: string): void {
  const held = world.credentials.all.filter((credential) => credential.namespace === namespace);
  if (held.length > 0) logIn(world, world.random.pick(held.slice(-2)), 1);
}

/** A client declares a queue or an exchange over an open connection. */
export function declare({ world }: Play): void {
  const { broker, random } = world;
  const open = [...broker.connections.values()];
  if (open.length === 0) return;
  const connection = random.pick(open);
  const kind = random.pick(['queue', 'exchange'] as const);
  broker.declare(connection, kind, `${kind}/${connection.credential.namespace}/${Math.floor(random.between(0, 3))}`);
}

let requests = 0;

/** Serves a signed request, and perhaps once more, as after an agent that died before it acknowledged the request. */
function serveOnceOrTwice(
  { world, servingAgent }: Play,
  what: string,
  serve: (agent: SimulatedAgent, nonce: NonceEntry) => Promise<void>,
): void {
  requests += 1;
  const key = `request ${requests}`;
  const deliver = (): void => {
    const agent = servingAgent();
    if (agent === undefined) return;
    const entry = nonceEntryOf(key, agent, 'reply');
    world.attempt(agent, what, async () => serve(agent, await agent.nonces.remember(entry)));
  };
  deliver();
  const { random, intervals } = world;
  if (!random.chance(0.4)) return;
  const laterMs = random.chance(0.5) ? random.between(0, 20_000) : random.between(0, intervals.rotationMs * 2);
  world.timeline.after(Math.min(laterMs, REMEMBERED_MS), deliver);
}

function nonceEntryOf(key: string, agent: SimulatedAgent, replyAddress: string): NonceEntry {
  const nowMs = agent.machine.clock.nowMs();
  return {
    key,
    replyAddress,
    correlationId: 'one',
    digest: '',
    firstSeenMs: nowMs,
    acceptableUntilMs: nowMs + REMEMBERED_MS,
    outcome: null,
  };
}

function deadline({ machine }: SimulatedAgent): AbortSignal {
  const controller = new AbortController();
  setMaxListeners(0, controller.signal);
  machine.after(DEADLINE_MS, () => controller.abort(DEADLINE));
  return controller.signal;
}
