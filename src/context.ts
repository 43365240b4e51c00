import type { Lifecycle } from './agent/lifecycle.ts';
import type { Reporters } from './reporters.ts';
import type { ClusterGate } from './broker/cluster.ts';
import type { Management } from './broker/management/management.ts';
import type { ManagementReach } from './broker/management/management-reach.ts';
import type { Config } from './config/config.ts';
import type { AddressChoice } from './contract/address-choice.ts';
import type { ContractNames } from './contract/names.ts';
import type { Jobs } from './jobs/jobs.ts';
import type { Store } from './store/store.ts';
import type { Clock, RandomBytes, Sleep } from './util/clock.ts';
import type { Log } from './util/log.ts';

/**
 * What the parts of an agent share. A part takes the fields it needs: `Pick<AgentContext, 'store' | 'clock'>`.
 *
 * Broker, store, events and audit are below it: they are in it and do not take it.
 */
export interface AgentContext {
  readonly config: Config;
  readonly names: ContractNames;
  /** Which of the agents with this id it is. */
  readonly instance: string;
  readonly clock: Clock;
  readonly sleep: Sleep;
  readonly randomBytes: RandomBytes;
  /** At least 0, less than 1. */
  readonly random: () => number;
  readonly log: Log;
  /** Shared by all AMQP connections of the agent: what one learns of an address, the others know. */
  readonly addressChoice: AddressChoice;
  readonly store: Store;
  /** It sends changes only while `cluster` permits them. */
  readonly management: Management;
  readonly managementReach: ManagementReach;
  readonly cluster: ClusterGate;
  readonly jobs: Jobs;
  readonly reporters: Reporters;
  readonly lifecycle: Lifecycle;
}
