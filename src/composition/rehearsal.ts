import { randomBytes } from 'node:crypto';
import type { Management } from '../broker/management.ts';
import type { Clock } from '../clock.ts';
import type { Config } from '../config.ts';
import type { Log } from '../log.ts';
import type { Reconcile } from '../namespaces/reconcile-broker.ts';
import { noAudit } from '../notify/audit.ts';
import type { AgentEvents } from '../notify/agent-events.ts';
import type { OnEffect } from '../rehearsal/pretended.ts';
import { rehearseManagement } from '../rehearsal/rehearse-management.ts';
import { rehearseStore } from '../rehearsal/rehearse-store.ts';
import type { StoreReader } from '../store/read-only.ts';
import { createNamespaceParts, type NamespaceParts } from './namespace-parts.ts';
import { createRepairParts } from './repair-parts.ts';

/** What a rehearsal works with. */
export interface RehearsalSettings {
  readonly config: Config;
  /** Where it looks; nothing is written there. */
  readonly store: StoreReader;
  readonly management: Management;
  readonly clock: Clock;
  readonly log: Log;
  /** Takes the events that would have been published. */
  readonly events: Pick<AgentEvents, 'emit'>;
  /** Told of each change that would have been made. */
  readonly onEffect: OnEffect;
}

/** The parts of an agent that act on its own account, over ports that only pretend. */
export interface Rehearsal {
  readonly parts: NamespaceParts;
  readonly reconcile: Reconcile;
}

/** Builds them: the same parts that an agent has. */
export function createRehearsal({ config, clock, log, events, onEffect, ...real }: RehearsalSettings): Rehearsal {
  const settings = {
    config,
    store: rehearseStore(real.store, clock, onEffect),
    management: rehearseManagement(real.management, clock, onEffect),
    clock,
    randomBytes,
    random: Math.random,
    log,
    events,
    // Nothing is done.
    audit: noAudit,
  };
  const parts = createNamespaceParts(settings);
  const { reconcile } = createRepairParts(settings, parts, {
    async remove({ source, destination, routingKey }) {
      onEffect({ call: 'deleteBinding', subject: `${source} → ${destination} (${routingKey})` });
      return await Promise.resolve(true);
    },
  });
  return { parts, reconcile };
}
