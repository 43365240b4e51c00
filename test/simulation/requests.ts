import { setMaxListeners } from 'node:events';
import { credentialSettlementMs } from '../../src/namespaces/timing.ts';
import type { NonceEntry } from '../../src/store/namespace-record.ts';
import type { Credential } from './credentials.ts';
import type { SimulatedAgent } from './simulated-agent.ts';
import type { Play } from './play.ts';
import { DEADLINE, type World } from './world.ts';

/** How long an agent may work on a request, in ms. */
const DEADLINE_MS = 9_000;

/** How long the nonce of a request is stored, in ms: until then it may be redelivered. */
const REMEMBERED_MS = 600_000;

/** A client claims, and mostly uses the credentials immediately. */
export function claim({ world, anyAgent, namespace: choose }: Play): void {
  const agent = anyAgent();
  if (agent === undefined) return;
  const { random, intervals } = world;
  const namespace = choose();
  const nowMs = agent.machine.clock.nowMs();
  const wishes = {
    none: undefined,
    soon: nowMs + intervals.rotationMs * random.between(0.05, 2),
    late: nowMs + intervals.rotationMs * random.between(2, 30),
  };
  const expiresMs = wishes[random.weighted({ none: 6, soon: 4, late: 1 })];
  const asked = { namespace, expiresMs, contact: null, claimedBy: 'owner' };
  world.attempt(agent, `claim of ${namespace}`, async () => {
    const result = await agent.claim(asked, deadline(agent));
    const credential = world.invariants.handedOut(result, agent.machine.name);
    world.note(
      () => `${namespace} is given generation ${credential.generation} until ${Math.round(credential.untilMs)}`,
    );
    if (random.chance(0.7)) logIn(world, credential);
  });
}

/** The owner releases a namespace; the request may be redelivered later to another agent. */
export function release(play: Play): void {
  const { world } = play;
  const namespace = play.namespace();
  if (world.random.chance(0.2)) lieInWait(world, namespace);
  world.invariants.asked('release', namespace);
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
  if (random.chance(0.4)) lieInWait(world, namespace);
  const blockedMs = random.chance(0.3) ? intervals.rotationMs * random.between(0.1, 2) : undefined;
  world.invariants.asked('revocation', namespace);
  serveOnceOrTwice(play, `revocation of ${namespace}`, async (agent, nonce) => {
    const untilMs = blockedMs === undefined ? undefined : nonce.firstSeenMs + blockedMs;
    await agent.revoker.revoke({ namespace, untilMs, nonce }, deadline(agent));
    // Like the job, on any agent.
    world.timeline.after(credentialSettlementMs(intervals) + random.between(0, 200), () => {
      const other = play.anyAgent();
      if (other === undefined) return;
      world.attempt(other, `finish (${namespace})`, () => other.revoker.finish(namespace, other.signal));
    });
  });
}

/** A client logs in with any credentials of the past. */
export function connect({ world }: Play): void {
  const { credentials, random } = world;
  if (credentials.all.length > 0) logIn(world, random.pick(credentials.all.slice(-6)));
}

/** The probability that a client waits between login and opening. */
const HESITANT = 0.15;

function logIn({ broker, intervals, random, note }: World, credential: Credential, hesitant = HESITANT): void {
  const { handshakeMs } = intervals;
  const lateMs = random.chance(0.5) ? random.between(0.9, 1) * handshakeMs : random.between(0, handshakeMs);
  const waitMs = random.chance(hesitant) ? lateMs : 0;
  const how = waitMs === 0 ? '' : ` and opens ${Math.round(waitMs)} ms later`;
  note(() => `a client logs in to ${credential.account}, generation ${credential.generation}${how}`);
  broker.connect(credential, waitMs);
}

/** A client logs in shortly before its credentials stop working, and opens its connection afterwards. */
function lieInWait(world: World, namespace: string): void {
  const given = world.credentials.all.filter((credential) => credential.namespace === namespace);
  if (given.length > 0) logIn(world, world.random.pick(given.slice(-2)), 1);
}

/** A client declares a queue or an exchange over one of its connections. */
export function declare({ world }: Play): void {
  const { broker, random } = world;
  const open = [...broker.connections.values()];
  if (open.length === 0) return;
  const connection = random.pick(open);
  const kind = random.pick(['queue', 'exchange'] as const);
  broker.declare(connection, kind, `${kind}/${connection.credential.namespace}/${Math.floor(random.between(0, 3))}`);
}

let requests = 0;

/** Serves a signed request, and perhaps again with the same nonce, as after a crash before the acknowledgement. */
function serveOnceOrTwice(
  { world, anyAgent }: Play,
  what: string,
  serve: (agent: SimulatedAgent, nonce: NonceEntry) => Promise<void>,
): void {
  requests += 1;
  const key = `request ${requests}`;
  const deliver = (): void => {
    const agent = anyAgent();
    if (agent === undefined) return;
    const nowMs = agent.machine.clock.nowMs();
    const entry: NonceEntry = {
      key,
      replyAddress: 'reply',
      correlationId: 'one',
      digest: '',
      firstSeenMs: nowMs,
      acceptableUntilMs: nowMs + REMEMBERED_MS,
      outcome: null,
    };
    world.attempt(agent, what, async () => serve(agent, await agent.nonces.remember(entry)));
  };
  deliver();
  const { random, intervals } = world;
  if (!random.chance(0.4)) return;
  const laterMs = random.chance(0.5) ? random.between(0, 20_000) : random.between(0, intervals.rotationMs * 2);
  world.timeline.after(Math.min(laterMs, REMEMBERED_MS), deliver);
}

function deadline({ machine }: SimulatedAgent): AbortSignal {
  const controller = new AbortController();
  setMaxListeners(0, controller.signal);
  machine.after(DEADLINE_MS, () => controller.abort(DEADLINE));
  return controller.signal;
}
