import { randomBytes } from 'node:crypto';
import type { Management } from '../broker/management/management.ts';
import { type Clock, systemSleep } from '../util/clock.ts';
import type { Config } from '../config/config.ts';
import type { Log } from '../util/log.ts';
import { noAudit } from '../audit/audit.ts';
import type { AgentEvents } from '../events/agent-events.ts';
import type { OnEffect } from './record-overlay.ts';
import { overlayManagement } from './management-overlay.ts';
import { overlayStore } from './store-overlay.ts';
import type { StoreReader } from '../store/open-store-to-read.ts';
import { createNamespaces, type Namespaces } from '../namespaces/namespaces.ts';
import { createReporters } from '../agent/reporters.ts';

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

/** What an agent does for namespaces, over a store and a broker that only pretend to be written. */
export function createOverlay({ config, clock, log, events, onEffect, ...real }: OverlayOptions): Namespaces {
  const context = {
    config,
    store: overlayStore(real.store, clock, onEffect),
    management: overlayManagement(real.management, clock, onEffect),
    clock,
    sleep: systemSleep,
    randomBytes,
    random: Math.random,
    // Nothing is done that an audit would be about.
    reporters: createReporters({
      events: { ...events, emitAndWait: async () => undefined },
      audit: noAudit,
      log,
      clock,
    }),
  };
  return createNamespaces(context, {
    async remove({ source, destination, routingKey }) {
      onEffect({ call: 'deleteBinding', subject: `${source} → ${destination} (${routingKey})` });
      return await Promise.resolve(true);
    },
  });
}
