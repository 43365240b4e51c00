import { once, setMaxListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { PulseAgentClient } from '../src/client/client.ts';
import { watchAgentEvents } from './agent-event-watch.ts';
import { watchBrokerEvents } from './broker-event-watch.ts';
import { planFaults } from './fault-plan.ts';
import { createClocks, runFaults } from './faults.ts';
import { Figures } from './figures.ts';
import { createForeignTenant } from './foreign-tenant.ts';
import { Journal } from './journal.ts';
import { Ledger } from './ledger.ts';
import { watchLeftovers } from './leftover-watch.ts';
import { logAround, watchLogs } from './log-watch.ts';
import { watchLogins } from './login-watch.ts';
import { watchNotices } from './notice-watch.ts';
import { runOperator } from './operator.ts';
import type { SoakOptions } from './options.ts';
import { createProbe } from './probe.ts';
import { createRegistry } from './registry.ts';
import type { RunContext } from './run-context.ts';
import { createSecretScan } from './secret-scan.ts';
import { settle } from './settle.ts';
import { untilReady } from './soak-agent.ts';
import { runTenants } from './tenants.ts';
import { Violation } from './violation.ts';
import { clockOffMs, HOLDER, ID, OPERATOR, SETTLEMENT_MS } from './settings.ts';
import { openWorld, type World } from './world.ts';
import { pause } from './pause.ts';

/** Clients that hold the namespaces: each has one connection for its requests. */
const HOLDERS = 4;

/** How long the first claims take, in ms for each namespace, and at most. */
const RAMP_UP_MS = 200;
const MAX_RAMP_UP_MS = 240_000;

/** How long the agents may take to be ready, in ms. */
const READY_WITHIN_MS = 180_000;

const PROGRESS_EVERY_MS = 30_000;

/** What has to happen in a run, or its invariants were checked without it. */
const EXPECTED = [
  'faults',
  'logins opened',
  'released by their holder',
  'events: namespace.rotated',
  'events: namespace.expired',
  'events: namespace.revoked',
  'notices mailed: warning',
  'notices mailed: recovery',
  'notices mailed: deletion',
];

/** How much of the logs before and after a violation is shown, in ms. */
const AROUND_MS = 15_000;

/**
 * Runs the whole system with faults, and checks its invariants from outside all the time.
 *
 * @param print gets what happens, the figures, and a violation with the log around it
 * @returns whether no invariant was violated
 */
export async function soak(
  options: SoakOptions,
  folder: string,
  print: (line: string) => void,
  interrupted: AbortSignal,
): Promise<boolean> {
  const journal = new Journal(print);
  const figures = new Figures();
  const over = new AbortController();
  let violation: Violation | undefined;
  const report = (found: Violation): void => {
    if (violation !== undefined || over.signal.aborted) return;
    violation = found;
    journal.say(`VIOLATION ${found.message}`);
    over.abort();
  };
  const { minutes, seed, namespaces, nodes, agents } = options;
  const size = `${nodes} nodes, ${agents} agents, ${namespaces} namespaces`;
  const again = `npm run soak -- --minutes ${minutes} --namespaces ${namespaces} --nodes ${nodes} --agents ${agents} --seed ${seed}`;
  journal.say(`seed ${seed}: ${minutes} minutes, ${size}`);

  const world = await openWorld(options, folder, (line) => journal.say(line), {
    onCrash: ({ name }, how) => report(new Violation('agents', `${name} ended by itself (${how}).`, [name])),
    onFailedStart: ({ name }) => {
      figures.count('starts of agents that failed and were repeated');
      journal.say(`${name} ended during its start`);
    },
  });
  const stop = AbortSignal.any([over.signal, interrupted]);
  try {
    const phases = runPhases({ options, world, journal, figures, report, stop });
    // Nothing is cleared away in order after a violation: what was found is still there to be inspected.
    await Promise.race([phases, once(stop, 'abort')]);
    if (interrupted.aborted) journal.say('interrupted');
  } finally {
    over.abort();
    if (violation !== undefined) await showViolation(violation, world, journal, print);
    await world.close();
  }
  print(['', `Seed ${seed}, ${minutes} minutes, ${size}`, ...figures.lines()].join('\n'));
  const missing = figures.missing(EXPECTED);
  if (missing.length > 0) print(`\nThis did not happen, and was not checked: ${missing.join(', ')}.`);
  const isGreen = violation === undefined && !interrupted.aborted;
  const held = isGreen ? 'No invariant was violated.' : 'Interrupted; no invariant had been violated.';
  const verdict = violation === undefined ? held : `VIOLATION ${violation.message}`;
  print(`\n${verdict}\nTo run it again: ${again}`);
  return isGreen;
}

interface PhasesInput extends Pick<RunContext, 'world' | 'journal' | 'figures' | 'report'> {
  readonly options: SoakOptions;
  /** Aborts at a violation, or when the run is interrupted. */
  readonly stop: AbortSignal;
}

async function runPhases({ options, world, journal, figures, report, stop }: PhasesInput): Promise<void> {
  const { seed, namespaces } = options;
  const [living, faulting, watching] = [new AbortController(), new AbortController(), new AbortController()];
  const [life, faults, watch] = [until(living, stop), until(faulting, stop), until(watching, stop)];

  const client = (clientId: string): PulseAgentClient =>
    new PulseAgentClient({
      url: world.claimantUrls,
      id: ID,
      audience: world.audience,
      credentials: world.taskcluster.credentials(clientId),
      signal: watch,
    });
  const holders = Array.from({ length: HOLDERS }, () => client(HOLDER));
  const operator = client(OPERATOR);
  const ledger = new Ledger(SETTLEMENT_MS);
  const registry = createRegistry(client(OPERATOR));
  const context: RunContext = {
    world,
    ledger,
    figures,
    journal,
    registry,
    report,
    overgrown: new Set(),
    deletedQueues: new Set(),
  };
  const scan = createSecretScan(world.secrets, ledger, report);
  const foreign = createForeignTenant(context);
  await foreign.settle();

  journal.say('starting the agents');
  const offMs = clockOffMs(namespaces);
  const clockMs = createClocks(seed, offMs);
  for (const agent of world.agents) await agent.start(clockMs());
  await untilReady(world.agents, READY_WITHIN_MS);

  const probe = createProbe(context, scan);
  const watchers = Promise.all([
    foreign.run(watch),
    registry.run(watch),
    watchBrokerEvents(context, watch),
    watchAgentEvents(context, scan, watch),
    watchLogs(context, scan, watch),
    watchLogins(context, seed, watch),
    watchLeftovers(context, watch),
    watchNotices(context, watch),
    probe.run(watch, life),
    probe.readDeadLetters(watch),
    showProgress(context, watch),
  ]);
  // It is awaited at the end; a failure before ends the run as well.
  watchers.catch((error: unknown) =>
    report(new Violation('soak', `A watcher failed: ${String((error as Error).stack)}`)),
  );

  const rampUpMs = Math.min(MAX_RAMP_UP_MS, namespaces * RAMP_UP_MS);
  journal.say(`claiming ${namespaces} namespaces`);
  const tenants = runTenants(context, { seed, namespaces, holders, rampUpMs, signal: life });
  const operating = runOperator(context, { seed, namespaces, client: operator, signal: life });
  await pause(rampUpMs, stop);

  journal.say('the faults begin');
  const broken = runFaults(planFaults(options), { world, journal, figures, seed, clockOffMs: offMs, signal: faults });
  await pause(options.minutes * 60_000, stop);
  faulting.abort();
  await broken;
  if (stop.aborted) return;
  journal.say('the faults are over');
  await untilReady(world.agents, READY_WITHIN_MS).catch(({ message }: Error) =>
    report(new Violation('agents', message)),
  );
  living.abort();
  await Promise.all([tenants, operating]);
  if (!stop.aborted) await settle({ context, probe, scan, operator, namespaces, signal: stop });
  await foreign.check();
  watching.abort();
  await watchers;
  for (const one of [...holders, operator]) await one.close();
}

/** Aborts at the end of a phase, or of the run. */
function until(phase: AbortController, stop: AbortSignal): AbortSignal {
  const signal = AbortSignal.any([phase.signal, stop]);
  setMaxListeners(0, signal);
  return signal;
}

async function showProgress({ figures, journal, ledger, world }: RunContext, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await pause(PROGRESS_EVERY_MS, signal);
    ledger.forget(Date.now());
    const [claims, opened, refused] = ['claims served', 'logins opened', 'logins refused'].map((of) => figures.of(of));
    const up = `${world.brokers.up().length} nodes up`;
    journal.say(`${claims} claims, ${opened} logins opened, ${refused} refused, ${figures.of('faults')} faults, ${up}`);
  }
}

async function showViolation(
  { atMs, about }: Violation,
  { agents }: World,
  journal: Journal,
  print: (line: string) => void,
): Promise<void> {
  // What the agents log a moment later may explain it.
  await sleep(2_000);
  print('\nWhat the run did before:');
  for (const line of journal.since(atMs - 4 * AROUND_MS)) print(line);
  for (const { name, logFile } of agents) {
    print(`\nThe log of ${name} around it, and about ${about.join(', ') || 'nothing in particular'}:`);
    for (const line of logAround(logFile, atMs, about, AROUND_MS)) print(line);
  }
}
