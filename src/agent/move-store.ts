import { randomBytes } from 'node:crypto';
import { makeOperatorRecord } from '../audit/operator-audit.ts';
import { openManagement } from '../broker/management/open-management.ts';
import type { Management } from '../broker/management/management.ts';
import { markedStore, markerNames } from '../broker/marker.ts';
import type { Config } from '../config/config.ts';
import { checkExport, exportStore, importStore } from '../store/copy-store.ts';
import type { ExportHeader, ExportSummary } from '../store/export-file.ts';
import { openTransfer } from '../store/open-transfer.ts';
import type { StoreTransfer } from '../store/store-transfer.ts';
import { AgentError } from '../util/agent-errors.ts';
import { systemClock, systemSleep } from '../util/clock.ts';
import { VERSION } from '../version.ts';
import { assertNoneInStore, assertNoneOnBroker } from './running-agents.ts';

/** How to copy a store. */
interface MoveOptions {
  /** Whether RabbitMQ is asked for running agents. */
  readonly askBroker: boolean;
  /** Called before a wait of some seconds. */
  readonly onWait: () => void;
}

export interface ExportOptions extends MoveOptions {
  /** Takes the text, and resolves when all of it is written. */
  readonly write: (chunks: AsyncIterable<string>) => Promise<void>;
  /** Whether agents can use the store no more afterwards. */
  readonly retire: boolean;
}

export interface ImportStoreOptions extends MoveOptions {
  /** Opens the export; called once more where {@link isRepeatable}. */
  readonly open: () => AsyncIterable<Buffer>;
  /** Whether the export can be read twice: it is then checked before the store is changed. */
  readonly isRepeatable: boolean;
  /** Whether records that the store has are removed. */
  readonly replace: boolean;
  /** Called when the store becomes unusable until an import has ended. */
  readonly onBegin: () => void;
}

/** Whose broker it is by its markers: of the imported store, of no store, or of another one; undefined: unknown. */
type MarkedFor = 'this' | 'none' | 'other' | undefined;

/**
 * Writes all that a store has to an export, while no agent runs.
 *
 * @throws AgentError `StoreInUse` when an agent runs; `StoreUnavailable`, `BrokerUnavailable`, `BrokerRefused`
 */
export async function exportOwnStore(
  config: Config,
  { askBroker, onWait, write, retire }: ExportOptions,
  signal: AbortSignal,
): Promise<{ readonly storeId: string; readonly summary: ExportSummary }> {
  const store = await openTransfer(config.storeUrl.reveal(), { mayCreate: false, randomBytes });
  const management = openManagement(config);
  try {
    const { identity } = store;
    if (identity?.unfinishedImport !== undefined) {
      throw new AgentError('StoreRefused', 'The store holds an import that did not end: end it before an export.');
    }
    if (identity === undefined) {
      throw new AgentError('StoreUnavailable', 'No agent has used the store: there is nothing to export.');
    }
    if (askBroker) await assertNoneOnBroker(management, config, signal);
    await assertNoneUses(store, onWait, signal);
    const { storeId, createdMs } = identity;
    await store.audit(makeOperatorRecord({ action: 'export', reason: 'pulse-agent export', details: { retire } }));
    const exported = new Date(systemClock.nowMs()).toISOString();
    const header: ExportHeader = { program: VERSION, id: config.id, storeId, createdMs, exported };
    const summary = await exportStore(store, header, write, signal);
    if (retire) await store.retire(systemClock.nowMs());
    return { storeId, summary };
  } finally {
    management.close();
    await store.close();
  }
}

/**
 * Puts an export into the store, while no agent runs. The store becomes the exported one: it has its id, so that accounts,
 * passwords and the marker stay as they are.
 *
 * @throws AgentError `StoreInUse` when an agent runs; `StoreRefused` when the export or the store does not fit;
 *   `StoreUnavailable`, `BrokerUnavailable`, `BrokerRefused`
 */
export async function importOwnStore(
  config: Config,
  { askBroker, onWait, open, isRepeatable, replace, onBegin }: ImportStoreOptions,
  signal: AbortSignal,
): Promise<{ readonly header: ExportHeader; readonly summary: ExportSummary; readonly markedFor: MarkedFor }> {
  if (isRepeatable) await checkExport(open());
  const store = await openTransfer(config.storeUrl.reveal(), { mayCreate: true, randomBytes });
  const management = openManagement(config);
  try {
    if (askBroker) await assertNoneOnBroker(management, config, signal);
    await assertNoneUses(store, onWait, signal);
    const record = makeOperatorRecord({ action: 'import', reason: 'pulse-agent import', details: { replace } });
    const { header, summary } = await importStore(
      store,
      open(),
      {
        importId: randomBytes(12).toString('base64url'),
        replace,
        onBegin,
        assertFits: async (given) => await Promise.resolve(assertSameAgents(given, config)),
        async beforeEnd() {
          // One that was starting when the import began is there by now.
          if (askBroker) await assertNoneOnBroker(management, config, signal);
          await store.audit(record);
        },
      },
      signal,
    );
    const markedFor = askBroker ? await readMarkedFor(management, config, header.storeId, signal) : undefined;
    return { header, summary, markedFor };
  } finally {
    management.close();
    await store.close();
  }
}

async function assertNoneUses(store: StoreTransfer, onWait: () => void, signal: AbortSignal): Promise<void> {
  if (store.kind === 'mongodb') onWait();
  await assertNoneInStore(store, { clock: systemClock, sleep: systemSleep }, signal);
}

function assertSameAgents({ id }: ExportHeader, config: Config): void {
  if (id === config.id) return;
  throw new AgentError(
    'StoreRefused',
    `The export is of agents with the id "${id}", and this configuration has the id "${config.id}": use the configuration of those agents.`,
  );
}

async function readMarkedFor(
  management: Pick<Management, 'getGlobalParameter'>,
  config: Config,
  storeId: string,
  signal: AbortSignal,
): Promise<MarkedFor> {
  const markers = await Promise.all(markerNames(config).map((name) => management.getGlobalParameter(name, { signal })));
  const marked = markers.filter((marker) => marker !== undefined);
  if (marked.length === 0) return 'none';
  return marked.every((marker) => markedStore(marker) === storeId) ? 'this' : 'other';
}
