import type { Management } from '../broker/management/management.ts';
import { hasReplicaCall, ownQuorumQueues, type QueueReplicas, readReplicas } from '../broker/queue-replicas.ts';
import { adviseReplicas, describeReplicas } from '../broker/replica-advice.ts';
import type { Config } from '../config/config.ts';
import { contractNames } from '../contract/names.ts';
import { failed, ok, skipped, type Step, type StepResult, warning } from './step.ts';

interface ReplicasStepOptions {
  readonly config: Pick<Config, 'id' | 'requestVhost' | 'eventVhost'>;
  readonly management: Pick<Management, 'getQuorumQueue' | 'listNodes' | 'overview'>;
}

/** Checks whether the agent's own queues outlive the failure of a node, as far as the cluster can carry that. */
export function replicasStep({ config, management }: ReplicasStepOptions): Step {
  return {
    name: 'replicas',
    about: "replicas of the agent's queues",
    needs: ['management-api'],
    async run(signal) {
      const { rabbitmqVersion } = await management.overview({ signal });
      const queues = ownQuorumQueues(contractNames(config.id), config);
      const replicas = await readReplicas(management, queues, { signal });
      return checkReplicas(config.id, replicas, hasReplicaCall(rabbitmqVersion));
    },
  };
}

/** @param canAgentsAdd whether RabbitMQ lets agents add replicas */
export function checkReplicas(id: string, replicas: readonly QueueReplicas[], canAgentsAdd: boolean): StepResult {
  if (replicas.length === 0) return skipped('no agent has declared its queues yet');
  const said = describeReplicas(replicas);
  if (said === undefined) return ok(replicas.map(countOf).join(', '));
  const report = replicas.some(({ state }) => state === 'stopped') ? failed : warning;
  return report(said, adviseReplicas(id, replicas, canAgentsAdd));
}

function countOf({ label, online, members }: QueueReplicas): string {
  return `${label} ${online.length} of ${members.length} online`;
}
