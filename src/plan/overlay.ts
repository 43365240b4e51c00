import { randomBytes } from 'node:crypto';
import { UNGUARDED } from '../broker/cluster.ts';
import type { Management } from '../broker/management/management.ts';
import { type Clock, systemSleep } from '../util/clock.ts';
import type { Config } from '../config/config.ts';
import type { Log } from '../util/log.ts';
import type { Audit } from '../audit/audit.ts';
import type { AgentEvents } from '../events/agent-events.ts';
import type { OnChange } from './overlay-entries.ts';
import { createManagementOverlay } from './management-overlay.ts';
import { createStoreOverlay } from './store-overlay.ts';
import type { StoreReader } from '../store/store-reader.ts';
import { createNamespaces, type Namespaces } from '../namespaces/namespaces.ts';
import { createReporters } from '../reporters.ts';

/** What an overlay is made of. */
export interface OverlayOptions {
  readonly config: Config;
  /** Only read. */
  readonly store: StoreReader;
  readonly management: Management;
  readonly clock: Clock;
  readonly log: Log;
  /** Receives the events that would have been published. */
  readonly events: Pick<AgentEvents, 'emit'>;
  /** Receives the audit records that would have been written: with the names of connections, which events lack. */
  readonly audit: Pick<Audit, 'record'>;
  /** Called for each change that would have been made. */
  readonly onChange: OnChange;
}

/** The work of an agent on namespaces, with overlays of store and broker: it reads both and writes neither. */
export function createOverlay({ config, clock, log, events, audit, onChange, ...real }: OverlayOptions): Namespaces {
  const context = {
    config,
    store: createStoreOverlay(real.store, clock, onChange),
    management: createManagementOverlay(real.management, clock, onChange),
    // Nothing is changed.
    cluster: UNGUARDED,
    clock,
    sleep: systemSleep,
    randomBytes,
    random: Math.random,
    reporters: createReporters({
      events: { ...events, emitAndWait: async () => undefined },
      audit,
      log,
      clock,
    }),
  };
  return createNamespaces(context);
}
