import { setTimeout as sleep } from 'node:timers/promises';
import { closeRpcConnection, connectTo } from '../src/client/amqp-connection.ts';
import { BrokerRefused } from '../src/client/client-errors.ts';
import { createRandom, type Random } from '../test/simulation/random.ts';
import type { Credential, LoginOutcome } from './ledger.ts';
import type { RunContext } from './run-context.ts';
import { Violation } from './violation.ts';
import { pause } from './pause.ts';

/** Logins at the same time, and the pause of each between two. */
const WORKERS = 4;
const PAUSE_MS = 80;

/** How long a connection stays open, in ms. */
const HELD_MS = 50;

/** The last part of a promise, in ms, in which a rotation or a deletion that comes too early shows. */
const CLOSE_MS = 6_000;

/** Logs in with samples of all credentials, to nodes that are up, and reports what breaks a promise. */
export async function watchLogins(context: RunContext, seed: number, signal: AbortSignal): Promise<void> {
  const workers = Array.from({ length: WORKERS }, async (_, index) => {
    const random = createRandom(seed * 17 + index);
    while (!signal.aborted) {
      await pause(PAUSE_MS, signal);
      await checkOne(context, random);
    }
  });
  await Promise.all(workers);
}

async function checkOne({ ledger, figures, world, report }: RunContext, random: Random): Promise<void> {
  const { brokers } = world;
  const up = brokers.up();
  const credential = sample(ledger.credentials, random, (one) => kindOf(ledger, one, Date.now()));
  if (up.length === 0 || credential === undefined) return;
  const node = random.pick(up);
  const startMs = Date.now();
  const outcome = await login(credential, brokers.amqpPort(node));
  const endMs = Date.now();
  figures.count(`logins ${outcome}`);
  const breach = ledger.judge(credential, outcome, { startMs, endMs });
  if (breach === undefined) return;
  const where = `Node ${node + 1}, login from ${iso(startMs)} to ${iso(endMs)}`;
  const promise = `handed out at ${iso(credential.receivedMs)} until ${iso(credential.reclaimMs)}`;
  report(new Violation('credentials', `${breach} ${where}; ${promise}.`, [credential.namespace]));
}

type Kind = 'closing' | 'promised' | 'dead' | 'other';

function kindOf(ledger: RunContext['ledger'], credential: Credential, nowMs: number): Kind {
  const promisedMs = ledger.promisedUntilMs(credential);
  if (promisedMs > nowMs) return promisedMs < nowMs + CLOSE_MS ? 'closing' : 'promised';
  return ledger.deadFromMs(credential) < nowMs ? 'dead' : 'other';
}

/** Rather one whose promise is nearly over: that is when it is broken. */
function sample(
  all: readonly Credential[],
  random: Random,
  kind: (credential: Credential) => Kind,
): Credential | undefined {
  const wanted = random.weighted<Kind>({ closing: 5, promised: 4, dead: 1, other: 0 });
  const those = all.filter((credential) => kind(credential) === wanted);
  return those.length === 0 ? undefined : random.pick(those);
}

async function login({ username, password }: Credential, port: number): Promise<LoginOutcome> {
  try {
    const connection = await connectTo(`amqp://${username}:${encodeURIComponent(password)}@127.0.0.1:${port}/%2F`);
    // RabbitMQ 3.10 may list a connection for ever that is closed right after it has opened.
    await sleep(HELD_MS);
    await closeRpcConnection(connection);
    return 'opened';
  } catch (error) {
    return error instanceof BrokerRefused ? 'refused' : 'unreachable';
  }
}

function iso(ms: number): string {
  return new Date(ms).toISOString().slice(11, 23);
}
