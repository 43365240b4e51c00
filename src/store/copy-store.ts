import { AgentError } from '../util/agent-errors.ts';
import { type ExportHeader, type ExportSummary, readExport, writeExport } from './export-file.ts';
import { type CollectionSummary, exportedRecord, RecordDigest } from './record-digest.ts';
import type { StoreIdentity } from './store-identity.ts';
import { STORE_COLLECTIONS, type StoreCollection, type StoreTransfer } from './store-transfer.ts';

/** How many records are written in one step. */
const BATCH_SIZE = 1000;

/**
 * Writes all records of a store, reads the store once more and compares; only then is the export complete.
 *
 * @param write takes the text, and resolves when it is written
 * @throws AgentError `StoreInUse` when the store changed meanwhile; `StoreUnavailable`; errors of `write`
 */
export async function exportStore(
  store: StoreTransfer,
  header: ExportHeader,
  write: (chunks: AsyncIterable<string>) => Promise<void>,
  signal: AbortSignal,
): Promise<ExportSummary> {
  let written: ExportSummary | undefined;
  const confirm = async (summary: ExportSummary): Promise<void> => {
    const changed = differing(summary, await summarize(store, signal));
    if (changed.length > 0) {
      throw new AgentError(
        'StoreInUse',
        `The store changed during the export (${changed.join(', ')}): stop all agents of it, and other commands that write to it, and export again.`,
      );
    }
    written = summary;
  };
  await write(writeExport(header, (collection) => store.pages(collection, signal), confirm));
  if (written === undefined) throw new Error('The export was not written to its end.');
  return written;
}

/** How to import. */
export interface ImportOptions {
  /** Names this import. */
  readonly importId: string;
  /** Whether records that the store has are removed. */
  readonly replace: boolean;
  /** Asserts that the export may be imported here, before anything is written. */
  readonly assertFits: (header: ExportHeader) => Promise<void>;
  /** Called when the store becomes unusable until the end. */
  readonly onBegin: () => void;
  /** Called between the last record and the end, when the store is still unusable. */
  readonly beforeEnd: () => Promise<void>;
}

/**
 * Puts the records of an export into a store, then reads the store and compares. Until the end no agent can use the store:
 * an import that does not end is repeated, and begins with an empty store again.
 *
 * @throws AgentError `StoreRefused` when the export is damaged, or the store is not empty; `StoreUnavailable`
 */
export async function importStore(
  store: StoreTransfer,
  chunks: AsyncIterable<Buffer>,
  { importId, replace, assertFits, onBegin, beforeEnd }: ImportOptions,
  signal: AbortSignal,
): Promise<{ readonly header: ExportHeader; readonly summary: ExportSummary }> {
  let read: { readonly header: ExportHeader; readonly identity: StoreIdentity } | undefined;
  let batch: { readonly collection: StoreCollection; readonly records: object[] } | undefined;
  const writeBatch = async (): Promise<void> => {
    if (batch !== undefined) await store.add(batch.collection, batch.records);
    batch = undefined;
  };
  const summary = await readExport(chunks, {
    async header(header) {
      await assertFits(header);
      await assertFree(store, replace);
      const { storeId, createdMs } = header;
      read = { header, identity: { storeId, createdMs } };
      onBegin();
      await store.beginImport({ ...read.identity, unfinishedImport: importId });
    },
    async record(collection, record) {
      signal.throwIfAborted();
      if (batch?.collection !== collection) await writeBatch();
      batch ??= { collection, records: [] };
      batch.records.push(record);
      if (batch.records.length >= BATCH_SIZE) await writeBatch();
    },
  });
  await writeBatch();
  const changed = differing(summary, await summarize(store, signal));
  if (changed.length > 0) {
    throw new AgentError(
      'StoreRefused',
      `The store does not have what was written to it (${changed.join(', ')}): make sure that nothing else writes to it, and import again.`,
    );
  }
  await beforeEnd();
  if (read === undefined || !(await store.finishImport(read.identity))) {
    throw new AgentError('StoreInUse', 'Another import into this store has begun: let one end, then check the store.');
  }
  return { header: read.header, summary };
}

async function assertFree(store: StoreTransfer, replace: boolean): Promise<void> {
  // What an import left that did not end is no loss.
  if (replace || store.identity?.unfinishedImport !== undefined || (await store.isEmpty())) return;
  throw new AgentError(
    'StoreRefused',
    'The store is not empty: point STORE_URL to an empty one, or give --replace to lose what this one has.',
  );
}

/** Checks an export without a store. */
export async function checkExport(chunks: AsyncIterable<Buffer>): Promise<void> {
  await readExport(chunks, { header: async () => undefined, record: async () => undefined });
}

/** Counts the records of a store, by collection. */
async function summarize(store: StoreTransfer, signal: AbortSignal): Promise<ExportSummary> {
  const summary: Partial<Record<StoreCollection, CollectionSummary>> = {};
  for (const collection of STORE_COLLECTIONS) {
    const digest = new RecordDigest();
    for await (const page of store.pages(collection, signal)) {
      for (const record of page) digest.add(exportedRecord(record));
    }
    summary[collection] = digest.summary();
  }
  return summary as ExportSummary;
}

function differing(left: ExportSummary, right: ExportSummary): StoreCollection[] {
  return STORE_COLLECTIONS.filter(
    (name) => left[name].digest !== right[name].digest || left[name].count !== right[name].count,
  );
}
