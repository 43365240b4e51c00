import { fenceMs } from '../../src/namespaces/timing.ts';
import { hashPassword } from '../../src/broker/password-hash.ts';
import { TENANT_VHOST } from './model-broker.ts';
import { HASHING_ALGORITHM } from '../../src/broker/management/management.ts';
import { Secret } from '../../src/util/secret.ts';
import type { Play } from './play.ts';
import { SECRETS } from './simulated-agent.ts';
import { untilInstant } from './instants.ts';

/** A process dies or stalls between two steps of its work, mostly for longer than a fence. */
export function armMishap(play: Play, actions: readonly ((play: Play) => void)[]): void {
  const agent = play.servingAgent();
  if (agent === undefined) return;
  const { random, intervals } = play.world;
  const fence = fenceMs(intervals);
  const steps = 1 + Math.floor(random.between(0, random.pick([4, 8, 14])));
  if (random.chance(0.3)) agent.machine.arm({ kind: 'crash' }, steps);
  else {
    const ms = random.pick([
      random.between(0.2, 3) * fence,
      random.between(0, 2) * intervals.rotationMs,
      untilInstant(play.world) + random.between(0, 0.1) * fence,
    ]);
    agent.machine.arm({ kind: 'stall', ms, isSuspended: random.chance(0.3) }, steps);
  }
  play.withAgent(agent, random.pick(actions));
}

/** A process is restarted, mostly a dead one. */
export function restart(play: Play): void {
  const dead = play.hosts.filter(({ agent }) => agent.machine.isDead);
  play.restart(play.world.random.pick(dead.length > 0 ? dead : play.hosts));
}

/** The agents get another agent secret one by one; sometimes the operator removes the previous one too early. */
export function rollSecret(play: Play): void {
  const { random } = play.world;
  const newest = Math.max(...play.hosts.map(({ secretIndex }) => secretIndex));
  const behind = play.hosts.filter(({ secretIndex }) => secretIndex < newest);
  const host = random.pick(behind.length > 0 ? behind : play.hosts);
  if (behind.length === 0 && random.chance(0.15)) host.hasPreviousSecrets = false;
  else {
    host.secretIndex = Math.min(behind.length > 0 ? newest : newest + 1, SECRETS.length - 1);
    host.hasPreviousSecrets = true;
  }
  play.world.log(() => `${host.name} gets secret ${host.secretIndex}${host.hasPreviousSecrets ? '' : ' alone'}`);
  play.restart(host);
}

/** The nodes that lose their changes restart: whatever the network does, they are not back earlier. */
const SHORTEST_SPLIT_MS = 5_000;

/** RabbitMQ splits, or is healed: one node of three is cut off from the others, or each from each. */
export function splitOrHeal({ world }: Play): void {
  const { broker, random, log, timeline } = world;
  if (broker.cutOff !== undefined) {
    if (timeline.nowMs() - broker.cutMs < SHORTEST_SPLIT_MS) return;
    log(() => 'RabbitMQ is one cluster again');
    broker.heal();
    return;
  }
  const cut = random.pick(['one', 'one', 'all'] as const);
  log(() => `RabbitMQ is split: ${cut}`);
  broker.split(cut);
}

/** The wall clock of a machine is set, within the allowed difference. */
export function setClock({ world, servingAgent }: Play): void {
  const machine = servingAgent()?.machine;
  if (machine === undefined) return;
  const ms = world.chooseOffset();
  world.log(() => `the clock of ${machine.name} is ${Math.round(ms)} ms off now`);
  machine.setOffset(ms);
}

const NOTHING = { configure: '', write: '', read: '' };
const EVERYTHING = { configure: '.*', write: '.*', read: '.*' };

/** An account is changed by hand. */
export function changeAccountByHand({ world, namespace }: Play): void {
  const { random, broker, invariants, store } = world;
  const account = `${namespace()}-${random.pick([1, 2])}`;
  invariants.accountChangedByHand(account);
  const passwordHash = hashPassword(new Secret(`by hand ${random.next()}`), random.bytes(4));
  const byHand = { name: account, passwordHash, hashingAlgorithm: HASHING_ALGORITHM, tags: [] };
  const found = broker.users.get(account);
  if (found === undefined) {
    // Accounts without a record do not belong to the agents.
    if (store.records.get(account.slice(0, -2))?.state !== 'active') return;
    world.log(() => `${account} is created by hand`);
    broker.users.set(account, { user: byHand, permissions: {}, topicPermissions: [], limits: {} });
    return;
  }
  const how = random.weighted({ password: 4, deleted: 4, permissions: 2, topicPermissions: 1, tags: 1, limit: 1 });
  world.log(() => `${account} is changed by hand: ${how}`);
  switch (how) {
    case 'password':
      found.user = byHand;
      return;
    case 'deleted':
      broker.deleteUser(account);
      return;
    case 'permissions':
      found.permissions = random.pick([{}, { [TENANT_VHOST]: NOTHING }, { ...found.permissions, other: EVERYTHING }]);
      return;
    case 'topicPermissions':
      found.topicPermissions = [random.pick([TENANT_VHOST, 'other'])];
      return;
    case 'tags':
      found.user = { ...found.user, tags: ['administrator'] };
      return;
    case 'limit':
      found.limits = { 'max-connections': 1 };
  }
}
