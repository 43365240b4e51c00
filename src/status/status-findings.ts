import { viewCluster } from '../broker/cluster-state.ts';
import {
  type AgentStatus,
  type Finding,
  type InstallationStatus,
  isRunning,
  type JobStatus,
} from './installation-status.ts';
import { PART_REMEDIES } from './part-remedies.ts';
import { isStandalone, STANDALONE_REMEDY } from '../store/mongodb/mongodb-setup.ts';
import type { InstallationReading } from './read-installation.ts';

/** The parts of a status, before the verdict on them. */
export type AssessedParts = Omit<InstallationStatus, 'state' | 'at' | 'id' | 'findings'>;

const START_AN_AGENT = 'Start an agent, or find in the log of the last one why it ended.';

/** Parts of agents that go with AMQP, or with the management API: where that is away, one finding is enough. */
const AMQP_PARTS = ['topology', 'requests', 'round-trip', 'replies', 'broker-events'];
const MANAGEMENT_PARTS = ['management', 'alarms', 'cluster', 'statistics', 'replicas', 'deletions'];

/** Agents of another version may have other parts. */
const remedies = new Map(Object.entries(PART_REMEDIES));

/** A finding, with the parts of agents that do not work for the same reason. */
interface Cause {
  readonly finding: Finding;
  readonly covers?: readonly string[];
}

/** What an operator should know about an installation, the worst first. One cause is named once. */
export function findingsOf(status: AssessedParts, reading: InstallationReading, isProduction: boolean): Finding[] {
  const running = (status.agents ?? []).filter(isRunning);
  const isServed = running.some(({ state }) => state === 'ready' || state === 'degraded');
  const causes = [
    ...ofDependencies(status, isServed),
    ...ofBroker(reading),
    ...ofRequestQueue(status, reading, running),
  ].map((cause) => ({ ...cause, finding: withCovered(cause, running) }));
  const covered = new Set(causes.flatMap(({ covers = [] }) => covers));
  const found = [
    ...causes.map((cause) => cause.finding),
    ...ofAgents(status, running, isServed),
    ...ofParts(running, isServed, covered),
    ...(isProduction ? ofStoreSetup(reading) : []),
    ...ofSecrets(status, running),
    ...(status.jobs ?? []).filter(({ late }) => late).map(ofJob),
  ];
  return [...found.filter(({ level }) => level === 'down'), ...found.filter(({ level }) => level === 'degraded')];
}

function finding(given: Pick<Finding, 'level' | 'about' | 'said'> & Partial<Finding>): Finding {
  const { level, about, since = null, said, remedy = null, agents = [] } = given;
  return { level, about, since, said, remedy, agents };
}

/** The finding with the instant since which an agent has seen it. */
function withCovered({ finding: found, covers = [] }: Cause, running: readonly AgentStatus[]): Finding {
  const instants = running.flatMap(({ parts }) =>
    covers.flatMap((name) => (parts[name]?.state === 'down' ? [parts[name].since] : [])),
  );
  return { ...found, since: found.since ?? instants.toSorted()[0] ?? null };
}

/** What does not answer here. Its error says what to do. */
function ofDependencies({ store, broker }: AssessedParts, isServed: boolean): Cause[] {
  const causes: Cause[] = [];
  if (!store.answers) {
    const said = `${store.error.message} Which agents run is unknown`;
    causes.push({ finding: finding({ level: 'down', about: 'store', said }) });
  }
  if (!broker.amqp.answers) {
    const said = broker.amqp.error.message;
    causes.push({ finding: finding({ level: 'down', about: 'amqp', said }), covers: AMQP_PARTS });
  }
  if (!broker.management.answers) {
    const level = isServed ? 'degraded' : 'down';
    const said = broker.management.error.message;
    causes.push({ finding: finding({ level, about: 'management', said }), covers: MANAGEMENT_PARTS });
  }
  return causes;
}

function ofAgents(
  { store, agents, requestQueue }: AssessedParts,
  running: readonly AgentStatus[],
  isServed: boolean,
): Finding[] {
  if (!store.answers || agents === null) return [];
  const lost = agents.filter(({ state }) => state === 'lost');
  if (running.length === 0) {
    const consumers = requestQueue.consumers ?? 0;
    if (consumers > 0) {
      const said = `no agent has a record in this store, but ${consumers} consumers take requests`;
      const remedy = 'Check that STORE_URL is that of the agents, and that their version is not older than this one.';
      return [finding({ level: 'down', about: 'agents', said, remedy })];
    }
    const [last] = agents.toSorted((a, b) => (a.seen < b.seen ? 1 : -1));
    const said = last === undefined ? 'no agent runs' : `no agent runs; ${last.instance} was the last that was killed`;
    return [finding({ level: 'down', about: 'agents', since: last?.seen ?? null, said, remedy: START_AN_AGENT })];
  }
  if (running.every(({ state }) => state === 'stopping')) {
    return [
      finding({ level: 'down', about: 'agents', said: 'every agent that runs is stopping', remedy: START_AN_AGENT }),
    ];
  }
  const starting = running.filter(({ state }) => state === 'starting').map((agent) => ofStart(agent, isServed));
  const ofLost = lost.map(({ instance, seen }) =>
    finding({
      level: 'degraded',
      about: 'agents',
      since: seen,
      said: `${instance} was not seen since then, and did not stop in order`,
      remedy: 'Check its machine, and whether it reaches the store; or start another agent in its place.',
      agents: [instance],
    }),
  );
  return [...starting, ...ofLost];
}

function ofStart({ instance, since, parts }: AgentStatus, isServed: boolean): Finding {
  const waitsFor = Object.entries(parts).filter(([, { state, required }]) => required && state !== 'up');
  const level = isServed ? 'degraded' : 'down';
  const said = `${instance} is starting, and waits for ${waitsFor.map(([part]) => part).join(', ')}`;
  return finding({ level, about: 'agents', since, said, agents: [instance] });
}

/** The parts that do not work, with all agents that say the same together. */
function ofParts(running: readonly AgentStatus[], isServed: boolean, covered: ReadonlySet<string>): Finding[] {
  const groups = new Map<
    string,
    { part: string; required: boolean; since: string; reason: string; agents: string[] }
  >();
  for (const { instance, state: agentState, parts } of running) {
    if (agentState === 'stopping' || agentState === 'starting') continue;
    for (const [part, { state, since, required, reason = `it is ${state}` }] of Object.entries(parts)) {
      if (state === 'up' || covered.has(part)) continue;
      const group = groups.get(`${part} ${state}`);
      if (group === undefined) groups.set(`${part} ${state}`, { part, required, since, reason, agents: [instance] });
      else {
        group.agents.push(instance);
        if (since < group.since) group.since = since;
      }
    }
  }
  return [...groups.values()].map(({ part, required, since, reason, agents }) => {
    const level = required && !isServed ? 'down' : 'degraded';
    const whose = agents.length === running.length ? '' : ` (${agents.length} of ${running.length} agents)`;
    const remedy = remedies.get(part) ?? null;
    return finding({ level, about: part, since, said: `${reason}${whose}`, remedy, agents });
  });
}

function ofRequestQueue(
  { requestQueue }: AssessedParts,
  { amqp, broker }: InstallationReading,
  running: readonly AgentStatus[],
): Cause[] {
  // Without agents that have started, all of this follows.
  if (running.every(({ state }) => state === 'starting' || state === 'stopping')) return [];
  if ('value' in amqp && amqp.value.requests === undefined) {
    const remedy = 'Running agents declare it again within seconds; see their log.';
    return queueDown('the request queue does not exist', remedy, ['requests', 'round-trip', 'replicas']);
  }
  if ('value' in broker && broker.value.requestQueue !== undefined && requestQueue.leader === null) {
    const { members, online } = broker.value.requestQueue;
    const said = `the request queue has no leader; ${online.length} of ${members.length} replicas are online`;
    return queueDown(said, 'Start the nodes of RabbitMQ that are down.', ['round-trip', 'replicas']);
  }
  if (requestQueue.consumers === 0) {
    const remedy = 'Find why in the log of the agents.';
    return queueDown('no agent consumes the request queue', remedy, ['requests', 'round-trip']);
  }
  return [];
}

function queueDown(said: string, remedy: string, covers: readonly string[]): Cause[] {
  return [{ finding: finding({ level: 'down', about: 'request-queue', said, remedy }), covers }];
}

function ofBroker({ broker }: InstallationReading): Cause[] {
  if ('error' in broker) return [];
  const { nodes, alarms } = broker.value;
  const causes: Cause[] = [];
  if (alarms.length > 0) {
    const set = alarms.map(({ alarm, node }) => `${alarm} on ${node || 'a node'}`).join(', ');
    const said = `RabbitMQ takes no messages, because of its alarms: ${set}`;
    const remedy = 'Free memory or disk there, or raise the limit.';
    causes.push({
      finding: finding({ level: 'down', about: 'alarms', said, remedy }),
      covers: ['alarms', 'round-trip'],
    });
  }
  const view = viewCluster(nodes);
  if (view.is !== 'whole') {
    const remedy = 'Start the nodes of RabbitMQ that are down; docs/recover.md says what to do about a split.';
    const found = finding({ level: 'degraded', about: 'cluster', said: view.reason, remedy });
    causes.push({ finding: found, covers: ['cluster'] });
  }
  return causes;
}

/** As `pulse-agent verify` has it: in production, one disk is too few. */
function ofStoreSetup({ store }: InstallationReading): Finding[] {
  if ('error' in store || store.value.setup === undefined || !isStandalone(store.value.setup)) return [];
  const said = 'MongoDB is a standalone server without a replica set';
  return [finding({ level: 'degraded', about: 'store', said, remedy: STANDALONE_REMEDY })];
}

function ofSecrets({ secrets }: AssessedParts, running: readonly AgentStatus[]): Finding[] {
  if (running.length === 0) return [];
  return (secrets?.needed ?? []).flatMap(({ secretId, namespaces, heldBy, missingSince }): Finding[] => {
    if (heldBy.length === running.length) return [];
    const lacking = running.map(({ instance }) => instance).filter((instance) => !heldBy.includes(instance));
    const whose = heldBy.length === 0 ? 'no running agent has' : `${lacking.length} of ${running.length} agents lack`;
    const need = namespaces === 1 ? '1 namespace needs' : `${namespaces} namespaces need`;
    const said = `${whose} the secret ${secretId}, which ${need}`;
    const add = 'Add it to PULSE_AGENT_PREVIOUS_SECRETS of each agent';
    const remedy = heldBy.length === 0 ? `${add}; docs/operations.md says what to do if no copy is left.` : `${add}.`;
    return [finding({ level: 'degraded', about: 'secrets', since: missingSince, said, remedy, agents: lacking })];
  });
}

function ofJob({ job, succeeded, failed, error }: JobStatus): Finding {
  const why = failed === null ? 'no run is known' : `it failed last with ${error} at ${failed}`;
  const said = `${job} has not succeeded ${succeeded === null ? 'since the agents run' : 'since then'}; ${why}`;
  const remedy = 'Find job_failed in the log of the agents.';
  return finding({ level: 'degraded', about: 'job', since: succeeded, said, remedy });
}
