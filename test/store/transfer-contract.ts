import assert from 'node:assert/strict';
import { type ExportHeader } from '../../src/store/export-file.ts';
import { checkExport, exportStore, importStore } from '../../src/store/copy-store.ts';
import type { Store } from '../../src/store/store.ts';
import type { StoreReader } from '../../src/store/store-reader.ts';
import type { StoreTransfer } from '../../src/store/store-transfer.ts';
import { isAgentError } from '../../src/util/agent-errors.ts';
import { alertOf, exemptionOf, noticeOf, recordOf } from '../support/records.ts';
import { auditOf } from './audit-contract.ts';
import { nonceOf } from './nonces-contract.ts';

const NOW_MS = Date.parse('2026-11-30T12:00:00.123Z');
const signal = new AbortController().signal;

/** One place for a store, which is empty at first. */
export interface TransferPlace {
  open(): Promise<Store>;
  /** Opens it for the commands that read it. */
  read(): Promise<StoreReader>;
  transfer(mayCreate?: boolean): Promise<StoreTransfer>;
}

/**
 * What every adapter promises of copies of a store.
 *
 * @param makeSource makes a place of this adapter
 * @param makeTarget makes one of the adapter to copy to
 */
export function transferContract(makeSource: () => TransferPlace, makeTarget: () => TransferPlace): void {
  it('copies every record as it is, with its revision, its indexes and the id of the store', async () => {
    const [source, target] = [makeSource(), makeTarget()];
    const storeId = await fill(source);
    const before = await using(await source.open(), contentsOf);
    const [file, exported] = await exportOf(source);
    await using(await target.transfer(), async (store) => {
      const { header, summary } = await importInto(store, file);
      assert.equal(header.storeId, storeId);
      assert.deepEqual(summary, exported);
    });
    await using(await target.open(), async (store) => {
      assert.equal(store.storeId, storeId);
      assert.deepEqual(await contentsOf(store), before);
      const [record] = await store.namespaces.list({ limit: 1 });
      assert.ok(record !== undefined);
      assert.equal(await store.namespaces.replace({ ...record, revision: record.revision + 1 }, record.revision), true);
      assert.equal(
        await store.namespaces.replace({ ...record, revision: record.revision + 1 }, record.revision),
        false,
      );
    });
  });

  it('copies more records than it reads at a time', async () => {
    const [source, target] = [makeSource(), makeTarget()];
    const count = 2100;
    await using(await source.open(), async (store) => {
      const records = Array.from({ length: count }, (_, index) => auditOf({ atMs: NOW_MS + (index % 7) }));
      await store.audit.append(records);
    });
    const [file] = await exportOf(source);
    await using(await target.transfer(), async (store) => {
      assert.equal((await importInto(store, file)).summary.audit.count, count);
    });
  });

  it('imports into an empty store only, unless it is to be replaced', async () => {
    const [source, target] = [makeSource(), makeTarget()];
    const storeId = await fill(source);
    const [file] = await exportOf(source);
    await using(await target.open(), async ({ namespaces }) => {
      for (const namespace of ['taskcluster-a', 'taskcluster-other']) {
        await namespaces.insert(recordOf(NOW_MS, { namespace, revision: 1, expiresMs: NOW_MS - 1 }));
      }
    });
    await using(await target.transfer(), async (store) => {
      await assert.rejects(importInto(store, file), isRefused(/not empty/));
      assert.equal(await store.isEmpty(), false);
      await importInto(store, file, { replace: true });
    });
    await using(await target.open(), async (store) => {
      assert.equal(store.storeId, storeId);
      assert.equal(await store.namespaces.get('taskcluster-other'), undefined);
      const due = await store.namespaces.dueForExpiry({ states: ['active'], beforeMs: NOW_MS, limit: 9 });
      assert.deepEqual(due, [], 'no index of the replaced records is left');
    });
  });

  it('keeps agents from a store until an import into it has ended, and can be run again', async () => {
    const [source, target] = [makeSource(), makeTarget()];
    await fill(source);
    const before = await using(await source.open(), contentsOf);
    const [file] = await exportOf(source);
    // As from standard input, which cannot be checked before.
    for (const cut of [file.indexOf('"end":"namespaces"'), file.length - 20]) {
      await using(await target.transfer(), async (store) => {
        await assert.rejects(importInto(store, file.slice(0, cut)), isRefused(/truncated/));
      });
      for (const open of [() => target.open(), () => target.read()]) {
        await assert.rejects(open(), isRefused(/did not end: run "pulse-agent import" again/));
      }
    }
    await using(await target.transfer(), (store) => importInto(store, file));
    assert.deepEqual(await using(await target.open(), contentsOf), before);
  });

  it('refuses a store that changes while it is exported', async () => {
    const source = makeSource();
    await fill(source);
    await using(await source.transfer(), async (store) => {
      let file = '';
      const write = async (chunks: AsyncIterable<string>): Promise<void> => {
        for await (const chunk of chunks) {
          file += chunk;
          if (chunk.includes('"end":"audit"')) await store.audit(auditOf());
        }
      };
      await assert.rejects(exportStore(store, headerOf(store), write, signal), (error) => {
        return isAgentError(error, 'StoreInUse') && /changed during the export \(audit\)/.test(error.message);
      });
      await assert.rejects(checkExport(piecesOf(file)), isRefused(/truncated/));
    });
  });

  it('compares what an import wrote with what the store has then, and ends only if both are the same', async () => {
    const [source, target] = [makeSource(), makeTarget()];
    await fill(source);
    const [file] = await exportOf(source);
    await using(await target.transfer(), async (store) => {
      const add = store.add.bind(store);
      store.add = (collection, records) => add(collection, records.slice(1));
      await assert.rejects(importInto(store, file), isRefused(/does not have what was written.*namespaces/));
    });
    await assert.rejects(target.open(), isRefused(/did not end/));
    await using(await target.transfer(), async (store) => {
      const beforeEnd = async (): Promise<void> => await Promise.reject(new Error('an agent has started'));
      await assert.rejects(importInto(store, file, { beforeEnd }), /an agent has started/);
    });
    await assert.rejects(target.open(), isRefused(/did not end/));
  });

  it('refuses agents once it is retired; the import of its export makes it usable again', async () => {
    const source = makeSource();
    const storeId = await fill(source);
    const [file] = await exportOf(source);
    await using(await source.transfer(), (store) => store.retire(NOW_MS));
    for (const open of [() => source.open(), () => source.read()]) {
      await assert.rejects(open(), isRefused(/retired by an export on 2026-11-30T12:00:00.123Z/));
    }
    await using(await source.transfer(), (store) => importInto(store, file, { replace: true }));
    assert.equal(await using(await source.open(), async (store) => store.storeId), storeId);
  });

  it('is no store before an agent has used it', async () => {
    const source = makeSource();
    await assert.rejects(source.transfer(false), (error) => {
      return isAgentError(error, 'StoreUnavailable') && /There is no store/.test(error.message);
    });
  });
}

function isRefused(message: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(isAgentError(error, 'StoreRefused'), String(error));
    assert.match(error.message, message);
    return true;
  };
}

async function using<Opened extends { close(): Promise<void> }, Result>(
  opened: Opened,
  use: (opened: Opened) => Promise<Result>,
): Promise<Result> {
  try {
    return await use(opened);
  } finally {
    await opened.close();
  }
}

/** Puts records of every kind and state into a store. */
async function fill(place: TransferPlace): Promise<string> {
  return await using(await place.open(), async (store) => {
    const { namespaces, queueAlerts, queueExemptions, notices, nonces, audit, storeId } = store;
    for (const record of RECORDS) {
      await namespaces.insert({ ...record, revision: 1 });
      await namespaces.replace({ ...record, revision: 2 }, 1);
    }
    for (const alert of ALERTS) await queueAlerts.insert(alert);
    for (const exemption of EXEMPTIONS) await queueExemptions.insert(exemption);
    for (const notice of NOTICES) await notices.add(notice);
    for (const nonce of NONCES) await nonces.remember(nonce);
    await nonces.recordOutcome(NONCES[0]?.key ?? '', '{"done":true}');
    await audit.append(AUDIT);
    return storeId;
  });
}

const RECORDS = [
  recordOf(NOW_MS, { namespace: 'taskcluster-a', contact: 'ö@exämple.org', claimedBy: 'project/a' }),
  recordOf(NOW_MS, {
    namespace: 'taskcluster-b',
    state: 'provisioning',
    revokedUntilMs: NOW_MS + 9,
    revokedMs: NOW_MS,
  }),
  recordOf(NOW_MS, {
    namespace: 'taskcluster-c',
    state: 'expiring',
    deletionReason: 'expired',
    deletionBlock: { queue: 'queue/taskcluster-c/x', node: 'rabbit@b' },
  }),
  recordOf(NOW_MS, { namespace: 'taskcluster-d', state: 'deleted', deletedAtMs: NOW_MS, deletionReason: 'released' }),
];
const ALERTS = [alertOf(), alertOf({ queue: 'queue/taskcluster-a/Ünï ✓ 🐇', level: 'over', bytes: 2 ** 40 })];
const EXEMPTIONS = [exemptionOf(), exemptionOf({ queue: 'queue/taskcluster-a/Ünï', reason: '✓ wanted' })];
const NOTICES = (['held', 'waiting', 'gathered', 'sent', 'failed', 'withdrawn'] as const).map((state) =>
  noticeOf(NOW_MS, { id: `notice-${state}`, state, settledMs: state === 'sent' ? NOW_MS : null }),
);
const NONCES = [nonceOf(), nonceOf({ outcome: '{"state":"expiring"}' })];
const AUDIT = [auditOf({ namespace: 'taskcluster-a' }), auditOf({ namespace: null })];

/** What agents see of a store. */
async function contentsOf(store: Store) {
  const { namespaces, queueAlerts, queueExemptions, notices, nonces, audit } = store;
  const due = { beforeMs: NOW_MS + 10 ** 9, limit: 99 };
  return {
    namespaces: await namespaces.list({ limit: 99 }),
    tombstones: await namespaces.list({ limit: 99, states: ['deleted'] }),
    dueForRotation: await namespaces.dueForRotation({ ...due, states: ['active'] }),
    dueForExpiry: await namespaces.dueForExpiry({ ...due, states: ['active', 'expiring'] }),
    held: await namespaces.countHeldBy('project/a'),
    states: await namespaces.countByState(),
    alerts: new Map((await queueAlerts.list({ limit: 99 })).map((alert) => [alert.queue, alert])),
    exemptions: new Map((await queueExemptions.list({ limit: 99 })).map((one) => [one.queue, one])),
    notices: await Promise.all(NOTICES.map(({ id }) => notices.get(id))),
    waiting: await notices.countWaiting(),
    due: await notices.due(due),
    nonces: await Promise.all(NONCES.map(({ key }) => nonces.get(key))),
    audit: await audit.list({ limit: 99 }),
    auditOfOne: await audit.list({ limit: 99, namespace: 'taskcluster-a' }),
  };
}

function headerOf({ identity }: StoreTransfer): ExportHeader {
  assert.ok(identity !== undefined);
  const { storeId, createdMs } = identity;
  return { program: '0.1.0', id: 'pulse-agent', storeId, createdMs, exported: new Date(NOW_MS).toISOString() };
}

async function exportOf(place: TransferPlace) {
  return await using(await place.transfer(), async (store) => {
    let file = '';
    const write = async (chunks: AsyncIterable<string>): Promise<void> => {
      for await (const chunk of chunks) file += chunk;
    };
    const summary = await exportStore(store, headerOf(store), write, signal);
    return [file, summary] as const;
  });
}

async function importInto(
  store: StoreTransfer,
  file: string,
  { replace = false, beforeEnd = async (): Promise<void> => undefined } = {},
) {
  const options = {
    importId: 'import',
    replace,
    assertFits: async () => undefined,
    onBegin: () => undefined,
    beforeEnd,
  };
  return await importStore(store, piecesOf(file), options, signal);
}

async function* piecesOf(file: string): AsyncGenerator<Buffer> {
  yield Buffer.from(file);
}
