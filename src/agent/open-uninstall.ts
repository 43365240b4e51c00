import { randomBytes } from 'node:crypto';
import { makeOperatorRecord } from '../audit/operator-audit.ts';
import { guardByCluster } from '../broker/management/guarded-changes.ts';
import type { Management } from '../broker/management/management.ts';
import { openManagement } from '../broker/management/open-management.ts';
import { assertNotForeign } from '../broker/marker.ts';
import type { Config } from '../config/config.ts';
import { storeWithoutLogin } from '../config/shown-settings.ts';
import type { NamespaceRecord } from '../store/namespace-record.ts';
import { openTransfer } from '../store/open-transfer.ts';
import { isInForce, type QueueExemption } from '../store/queue-exemption-records.ts';
import { assertUsable } from '../store/store-identity.ts';
import type { StoreTransfer } from '../store/store-transfer.ts';
import { findInstallation } from '../uninstall/installation-on-broker.ts';
import { planUninstall, type UninstallOptions, type UninstallPlan } from '../uninstall/plan-uninstall.ts';
import { removeInstallation, type StepOutcome } from '../uninstall/remove-installation.ts';
import { AgentError } from '../util/agent-errors.ts';
import { systemClock, systemSleep } from '../util/clock.ts';
import { assertNoneInStore, assertNoneOnBroker } from './running-agents.ts';

/** What became of an uninstallation. */
export interface Uninstalled {
  readonly outcomes: readonly StepOutcome[];
  /** What is there all the same, and what stays. */
  readonly rest: UninstallPlan;
  /** Why the broker could not be asked what is there; undefined: it was. */
  readonly fault: unknown;
}

/** The uninstallation of a store's agents. */
export interface Uninstall {
  /** What would be removed now, and what stays. */
  plan(): Promise<UninstallPlan>;
  /** Removes what a plan says, then what a client declared meanwhile. */
  remove(plan: UninstallPlan, onOutcome: (outcome: StepOutcome) => void): Promise<Uninstalled>;
  close(): Promise<void>;
}

/** How often what appeared meanwhile is removed, too. */
const MAX_ROUNDS = 3;

/** A connection that was being opened while its user was deleted may be listed only after this, in ms. */
const LATE_CONNECTION_MS = 600;

/**
 * Opens store and management API, once it is certain that no agent runs.
 *
 * @param onWait called before a wait of some seconds
 * @throws AgentError `StoreInUse` when an agent runs; `BrokerMarked` when the broker belongs to another store;
 *   `StoreUnavailable`, `BrokerUnavailable`, `BrokerRefused`
 */
export async function openUninstall(
  config: Config,
  options: UninstallOptions,
  onWait: () => void,
  signal: AbortSignal,
): Promise<Uninstall> {
  const { management } = guardByCluster(openManagement(config), { clock: systemClock, sleep: systemSleep });
  let store: StoreTransfer | undefined;
  const close = async (): Promise<void> => {
    management.close();
    await store?.close();
  };
  try {
    const opened = (store = await openTransfer(config.storeUrl.reveal(), { mayCreate: false, randomBytes }));
    const { identity } = opened;
    if (identity === undefined) {
      throw new AgentError(
        'StoreUnavailable',
        'No agent has used the store: point STORE_URL to the store of the agents.',
      );
    }
    assertUsable(identity);
    const { storeId } = identity;
    await assertNotForeign(management, { ...config, storeId }, { signal });
    await assertNoneOnBroker(management, config, signal);
    if (opened.kind === 'mongodb') onWait();
    await assertNoneInStore(opened, { clock: systemClock, sleep: systemSleep }, signal);
    const recorded = await heldNamespaces(opened, signal);
    const exempt = await exemptQueues(opened, signal);
    const ofStore = { storeId, recorded, isExempt: (queue: string) => exempt.has(queue) };
    const storeUrl = storeWithoutLogin(config.storeUrl.reveal());
    const plan = async (): Promise<UninstallPlan> =>
      planUninstall(await findInstallation(management, config, ofStore, signal), config, options, storeUrl);
    return {
      plan,
      async remove(first, onOutcome) {
        const outcomes: StepOutcome[] = [];
        const concurrency = config.managementConcurrency;
        let rest = first;
        let fault: unknown;
        for (let round = 1; fault === undefined && round <= MAX_ROUNDS && rest.steps.length > 0; round += 1) {
          const done = await removeInstallation(management, rest.steps, { concurrency, onOutcome }, signal);
          outcomes.push(...done);
          const failed = done.filter(({ faults, isKept }) => isKept || faults.length > 0);
          try {
            await closeLateConnections(management, done, signal);
            rest = await plan();
          } catch (error) {
            signal.throwIfAborted();
            fault = error;
            rest = { ...rest, steps: failed.map(({ step }) => step) };
          }
          if (failed.length > 0) break;
        }
        const details = {
          removed: outcomes.reduce((sum, { removed }) => sum + removed, 0),
          failed: outcomes.reduce((sum, { faults }) => sum + faults.length, 0),
          namespaces: options.namespaces,
        };
        await opened.audit(makeOperatorRecord({ action: 'uninstallation', reason: 'pulse-agent uninstall', details }));
        return { outcomes, rest, fault };
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Closes what RabbitMQ leaves open of deleted users: those connections could declare something again. */
async function closeLateConnections(
  management: Pick<Management, 'listOpenConnections' | 'closeConnection'>,
  outcomes: readonly StepOutcome[],
  signal: AbortSignal,
): Promise<void> {
  const users = new Set(outcomes.flatMap(({ step }) => (step.kind === 'user' ? step.names : [])));
  if (users.size === 0) return;
  await systemSleep(LATE_CONNECTION_MS, signal);
  for (const { name, user } of await management.listOpenConnections({ signal })) {
    if (users.has(user)) await management.closeConnection(name, 'The agents were uninstalled.', { signal });
  }
}

/** The namespaces with a record that is no tombstone: what tombstones are about is deleted. */
async function heldNamespaces(store: StoreTransfer, signal: AbortSignal): Promise<string[]> {
  const names: string[] = [];
  for await (const page of store.pages('namespaces', signal)) {
    for (const { namespace, state } of page as readonly NamespaceRecord[]) {
      if (state !== 'deleted') names.push(namespace);
    }
  }
  return names;
}

/** The queues that an operator wants to stay now. */
async function exemptQueues(store: StoreTransfer, signal: AbortSignal): Promise<ReadonlySet<string>> {
  const names = new Set<string>();
  for await (const page of store.pages('queueExemptions', signal)) {
    for (const exemption of page as readonly QueueExemption[]) {
      if (isInForce(exemption, systemClock.nowMs())) names.add(exemption.queue);
    }
  }
  return names;
}
