import { forEachConcurrently } from '../src/util/concurrency.ts';
import { contractNames } from '../src/contract/names.ts';
import { startBuiltAgent } from './built-agent.ts';
import { median } from './limits.ts';
import { declareQueues } from './lifecycle.ts';
import { timeOf } from './load.ts';
import type { Site } from './site.ts';
import type { Row } from './table.ts';

/** How much is measured. */
export interface NeighboursSizes {
  readonly rounds: number;
  readonly queues: number;
}

const SIZES: NeighboursSizes = { rounds: 3, queues: 5000 };

const CONCURRENCY = 32;

/**
 * Measures what an agent costs other clients of the broker: declaring queues of a namespace with an agent, with what a
 * stopped agent left on the broker, and without either.
 */
export async function measureNeighbours(
  site: Site,
  progress: (line: string) => void,
  sizes: NeighboursSizes = SIZES,
): Promise<Row[]> {
  const queues = Array.from(
    { length: sizes.queues },
    (_, index) => `queue/${site.names.namespacePrefix}neighbour/${index}`,
  );
  const declare = async (): Promise<Declared> => {
    const cpuBeforeMs = site.brokerCpuMs();
    const ms = await timeOf(() => declareQueues(site, queues));
    const brokerCpuMs = site.brokerCpuMs() - cpuBeforeMs;
    await forEachConcurrently(queues, CONCURRENCY, async (name) => {
      await site.management.deleteQueue(site.vhost, name);
    });
    return { ms, brokerCpuMs };
  };
  const rounds: { without: Declared; running: Declared; stopped: Declared; cpuMs: number }[] = [];
  for (let round = 0; round < sizes.rounds; round += 1) {
    progress(`${sizes.queues} queues without an agent`);
    await removeAgent(site);
    const without = await declare();
    const agent = await startBuiltAgent(site, 'neighbour-store');
    progress('the same beside an idle agent');
    // Its first reconciliation and survey are over after that.
    await agent.resident();
    const cpuBeforeMs = agent.cpuMs();
    const running = await declare();
    const cpuMs = agent.cpuMs() - cpuBeforeMs;
    await agent.stop();
    progress('the same after the agent has stopped');
    rounds.push({ without, running, cpuMs, stopped: await declare() });
  }
  await removeAgent(site);
  const text = (kind: 'without' | 'running' | 'stopped'): string => {
    const of = (figure: keyof Declared): string =>
      (median(rounds.map((round) => round[kind][figure])) / 1000).toFixed(2);
    return `${of('ms')} s, CPU of RabbitMQ ${of('brokerCpuMs')} s`;
  };
  const cpuSeconds = median(rounds.map(({ cpuMs }) => cpuMs)) / 1000;
  return [
    {
      what: `declaring ${sizes.queues} queues beside an agent`,
      measured: `${text('running')}; CPU of the agent for these and their deletion ${cpuSeconds.toFixed(2)} s`,
      limit: `without an agent: ${text('without')}; with the policies and event queues of a stopped one: ${text('stopped')}`,
      ratio: median(rounds.map(({ running, without }) => running.ms / without.ms)),
      atMost: 1.3,
      figures: { seconds: median(rounds.map(({ running }) => running.ms)) / 1000, cpuSeconds },
    },
  ];
}

/** What declaring the queues took. */
interface Declared {
  readonly ms: number;
  readonly brokerCpuMs: number;
}

/** Removes what an agent leaves on the broker when it stops: its policies and queues. */
async function removeAgent({ management, vhost, names }: Site): Promise<void> {
  const isOurs = ({ name }: { readonly name: string }): boolean => name.includes(names.id);
  for (const where of [vhost, names.requestVhost]) {
    for (const { name } of (await management.listOperatorPolicies(where)).filter(isOurs)) {
      await management.deleteOperatorPolicy(where, name);
    }
    for (const { name } of (await management.listPolicies(where)).filter(isOurs)) {
      await management.deletePolicy(where, name);
    }
  }
  const { brokerEventsQueue, tenantEventsQueue } = contractNames(names.id);
  for (const name of [brokerEventsQueue, tenantEventsQueue]) await management.deleteQueue('/', name);
}
