import type { InstallationStatus } from './installation-status.ts';

/** What a fact is known from. While that does not answer, the fact is as it was. */
type FactSource = 'here' | 'store' | 'management' | 'amqp';

/** One thing about an installation whose change is news. Counts and ages that change all the time are none. */
interface Fact {
  readonly source: FactSource;
  /** It has changed when this has. */
  readonly value: string;
  /** The value, with what belongs to it. */
  readonly said: string;
}

/** Facts by what they are about. */
export type StatusFacts = ReadonlyMap<string, Fact>;

/** A fact that has changed; null: it was not there, or is not any more. */
export interface StatusChange {
  readonly what: string;
  readonly was: string | null;
  readonly is: string | null;
}

/** The facts after another status, and what has changed since the previous one. */
export interface FollowedChanges {
  readonly facts: StatusFacts;
  readonly changes: readonly StatusChange[];
}

/** Takes another status to the facts that are known; empty at first. */
export function followChanges(known: StatusFacts, status: InstallationStatus): FollowedChanges {
  const answering = sourcesOf(status);
  const facts = new Map(factsOf(status));
  for (const [what, last] of known) if (!answering.has(last.source)) facts.set(what, last);
  const changes: StatusChange[] = [];
  for (const [what, { value, said }] of facts) {
    const before = known.get(what);
    if (before?.value !== value) changes.push({ what, was: before?.value ?? null, is: said });
  }
  for (const [what, { value }] of known) if (!facts.has(what)) changes.push({ what, was: value, is: null });
  return { facts, changes };
}

function sourcesOf({ store, broker }: InstallationStatus): ReadonlySet<FactSource> {
  return new Set<FactSource>([
    'here',
    ...(store.answers ? (['store'] as const) : []),
    ...(broker.management.answers ? (['management'] as const) : []),
    ...(broker.amqp.answers ? (['amqp'] as const) : []),
  ]);
}

function fact(source: FactSource, value: string, said: string = value): Fact {
  return { source, value, said };
}

function* factsOf(status: InstallationStatus): Generator<[what: string, fact: Fact]> {
  const { state, store, broker, agents, requestQueue, deadLetters, secrets, jobs, alerts } = status;
  yield ['the installation', fact('here', state)];
  for (const [what, answer] of [
    ['the store', store],
    ['the management API', broker.management],
    ['RabbitMQ over AMQP', broker.amqp],
  ] as const) {
    yield [what, answer.answers ? fact('here', 'answers') : fact('here', 'does not answer', answer.error.message)];
  }
  for (const { instance, state: agentState, parts } of agents ?? []) {
    yield [`agent ${instance}`, fact('store', agentState)];
    for (const [part, { state: partState, reason }] of Object.entries(parts)) {
      const said = reason === undefined ? partState : `${partState}: ${reason}`;
      yield [`${part} of ${instance}`, fact('store', partState, said)];
    }
  }
  if (broker.management.answers) {
    const { nodes, alarms } = broker.management;
    yield ['nodes that do not run', fact('management', nodes.missing.join(', ') || 'none')];
    const set = alarms.map(({ alarm, node }) => `${alarm} on ${node}`).join(', ');
    yield ['alarms', fact('management', set || 'none')];
    yield ['leader of the request queue', fact('management', requestQueue.leader ?? 'none')];
  }
  if (broker.amqp.answers) {
    yield ['consumers of the request queue', fact('amqp', String(requestQueue.consumers ?? 'unknown'))];
    yield ['dead letters', fact('amqp', String(deadLetters ?? 'unknown'))];
  }
  for (const { secretId, namespaces, heldBy } of secrets?.needed ?? []) {
    const value = heldBy.length === 0 ? 'held by no agent' : `held by ${heldBy.length}`;
    yield [`secret ${secretId}`, fact('store', value, `${value}, needed by ${namespaces} namespaces`)];
  }
  for (const { job, late, error, failed, succeeded } of jobs ?? []) {
    const isFailing = failed !== null && failed > (succeeded ?? '');
    const value = late ? 'late' : isFailing ? 'failing' : 'on time';
    yield [`job ${job}`, fact('store', value, isFailing ? `${value}: ${error}` : value)];
  }
  for (const [level, count] of Object.entries(alerts?.levels ?? {})) {
    yield [`queue alerts at level ${level}`, fact('store', String(count))];
  }
}
