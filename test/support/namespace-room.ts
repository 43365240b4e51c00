import { noAudit } from '../../src/audit/audit.ts';
import { randomBytes } from 'node:crypto';
import { type ClusterGate, UNGUARDED } from '../../src/broker/cluster.ts';
import { openManagement } from '../../src/broker/management/open-management.ts';
import type { Management } from '../../src/broker/management/management.ts';
import { type Clock, systemClock, systemSleep } from '../../src/util/clock.ts';
import { createReporters } from '../../src/reporters.ts';
import { createNamespaces, type Namespaces } from '../../src/namespaces/namespaces.ts';
import type { Config } from '../../src/config/config.ts';
import type { EventType } from '../../src/contract/event-types.ts';
import { createLog } from '../../src/util/log.ts';
import type { ClaimResult } from '../../src/namespaces/claim/claim.ts';
import type { Store } from '../../src/store/store.ts';
import { makeInstallation, type TestInstallation } from './agent.ts';
import { addCleanup } from './cleanup.ts';
import { createMemoryStore, type MemoryStore } from './memory-store.ts';
import { STORED_NONCE } from './nonces.ts';
import { type Around, interceptManagement, interceptStore } from './step-observer.ts';

/** An event as it was emitted. */
export interface EmittedEvent {
  readonly type: EventType;
  readonly data: Readonly<Record<string, unknown>>;
}

/** What one agent does for namespaces, without the agent around it. */
export interface NamespaceAgent extends Omit<Namespaces, 'claim'> {
  readonly management: Management;
  readonly events: EmittedEvent[];
  readonly log: string[];
  claim(namespace: string, expiresMs?: number): Promise<ClaimResult>;
}

/** How an agent differs from the ordinary one. */
export interface NamespaceAgentOptions {
  readonly clock?: Clock;
  /** Stands between it and every call to the store and to the broker. */
  readonly around?: Around;
  readonly config?: Partial<Config>;
  /** Permits all changes when absent. */
  readonly cluster?: ClusterGate;
}

/** A broker and a store that several agents share. */
export interface NamespaceRoom extends TestInstallation {
  readonly store: MemoryStore;
  addAgent(options?: NamespaceAgentOptions): NamespaceAgent;
}

const never = new AbortController().signal;

/** Makes a room; it is removed after the test. */
export async function makeNamespaceRoom(settings: object = {}): Promise<NamespaceRoom> {
  const installation = await makeInstallation({ settings });
  const { config } = installation;
  const store = createMemoryStore();
  return { ...installation, store, addAgent: (options) => makeAgent(config, store, options) };
}

function makeAgent(base: Config, store: Store, options: NamespaceAgentOptions = {}): NamespaceAgent {
  const config = { ...base, ...options.config };
  const { clock = systemClock, around = (_step, call) => call() } = options;
  const events: EmittedEvent[] = [];
  const lines: string[] = [];
  const real = openManagement(config);
  const management = interceptManagement(real, around);
  addCleanup(() => real.close());
  const emit = (type: EventType, data: object): void => void events.push({ type, data: { ...data } });
  const context = {
    config,
    store: interceptStore(store, around),
    management,
    cluster: options.cluster ?? UNGUARDED,
    clock,
    sleep: systemSleep,
    randomBytes,
    random: () => 0,
    reporters: createReporters({
      events: { emit, emitAndWait: async (type, data) => emit(type, data) },
      audit: noAudit,
      log: createLog(config, { write: (line: string) => void lines.push(line) }),
      clock,
    }),
  };
  const namespaces = createNamespaces(context);
  return {
    ...namespaces,
    management,
    events,
    log: lines,
    claim: (namespace, expiresMs) =>
      namespaces.claim({ namespace, expiresMs, contact: undefined, claimedBy: 'team', nonce: STORED_NONCE }, never),
  };
}
