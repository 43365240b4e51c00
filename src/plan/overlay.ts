import { randomBytes } from 'node:crypto';
import type { Management } from '../broker/management/management.ts';
import type { Clock } from '../util/clock.ts';
import type { Config } from '../config/config.ts';
import type { Log } from '../util/log.ts';
import type { Reconcile } from '../namespaces/reconciliation/reconcile.ts';
import { noAudit } from '../audit/audit.ts';
import type { AgentEvents } from '../events/agent-events.ts';
import type { OnEffect } from './record-overlay.ts';
import { overlayManagement } from './management-overlay.ts';
import { overlayStore } from './store-overlay.ts';
import type { StoreReader } from '../store/open-store-to-read.ts';
import { createNamespaceParts, type NamespaceParts } from '../agent/namespace-parts.ts';
import { createRepairParts } from '../agent/repair-parts.ts';

/** What a rehearsal works with. */
export interface OverlayOptions {
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
export interface Overlay {
  readonly parts: NamespaceParts;
  readonly reconcile: Reconcile;
}

/** Builds them: the same parts that an agent has. */
export function createOverlay({ config, clock, log, events, onEffect, ...real }: OverlayOptions): Overlay {
  const settings = {
    config,
    store: overlayStore(real.store, clock, onEffect),
    management: overlayManagement(real.management, clock, onEffect),
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
