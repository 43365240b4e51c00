import assert from 'node:assert/strict';
import { checkExport } from '../../src/store/copy-store.ts';
import { type ExportSummary, readExport, writeExport } from '../../src/store/export-file.ts';
import { exportedRecord, RecordDigest } from '../../src/store/record-digest.ts';
import type { StoreCollection } from '../../src/store/store-transfer.ts';
import { isAgentError } from '../../src/util/agent-errors.ts';
import { alertOf, exemptionOf, noticeOf, recordOf } from '../support/records.ts';
import { auditOf } from './audit-contract.ts';
import { nonceOf } from './nonces-contract.ts';

const NOW_MS = Date.parse('2026-11-30T12:00:00.123Z');
const HEADER = {
  program: '0.1.0',
  id: 'pulse-agent',
  storeId: 'c3RvcmU',
  createdMs: NOW_MS,
  exported: new Date(NOW_MS).toISOString(),
};

/** Records with what is hard to write: line feeds, other alphabets, fractions of a millisecond, absent fields. */
const RECORDS: Readonly<Record<StoreCollection, readonly object[]>> = {
  namespaces: [
    recordOf(NOW_MS, { namespace: 'taskcluster-a', nextRotationMs: NOW_MS + 0.75, contact: 'ö@exämple.org\n"🐇"' }),
    recordOf(NOW_MS, { namespace: 'taskcluster-b', state: 'deleted', deletedAtMs: NOW_MS, deletionReason: 'released' }),
  ],
  queueAlerts: [alertOf()],
  queueExemptions: [exemptionOf()],
  notices: [noticeOf(NOW_MS)],
  nonces: [nonceOf()],
  audit: [auditOf(), auditOf()],
};

describe('the file of an export', () => {
  let file: string;
  let written: ExportSummary | undefined;
  before('write one', async () => {
    file = await textOf(RECORDS, async (summary) => void (written = summary));
  });

  it('gives back every record, with the counts and digests that it was written with', async () => {
    const found: Record<string, object[]> = {};
    const summary = await readExport(inPieces(file, 7), {
      header: async (header) => assert.deepEqual(header, HEADER),
      record: async (collection, record) => void (found[collection] ??= []).push(record),
    });
    assert.deepEqual(summary, written);
    for (const [collection, records] of Object.entries(RECORDS)) {
      assert.deepEqual(
        found[collection],
        records.map((record): unknown => JSON.parse(exportedRecord(record))),
      );
    }
    const [first] = found['namespaces'] as { nextRotationMs: number }[];
    assert.equal(first?.nextRotationMs, NOW_MS);
  });

  it('has the same digest whichever order a store has its records and fields in', () => {
    const digestOf = (records: readonly object[]) => {
      const digest = new RecordDigest();
      for (const record of records) digest.add(exportedRecord(record));
      return digest.summary();
    };
    const [first, second] = RECORDS.namespaces as [object, object];
    const reversed = Object.fromEntries(Object.entries(first).toReversed());
    assert.deepEqual(digestOf([first, second]), digestOf([second, reversed]));
    assert.notDeepEqual(digestOf([first, second]), digestOf([first, { ...second, generation: 7 }]));
    assert.notDeepEqual(digestOf([first]), digestOf([first, first, first]));
  });

  it('is refused in one sentence when it is truncated, at any byte', async () => {
    const bytes = Buffer.from(file);
    for (let length = 0; length < bytes.length; length += 1) {
      await assertRefused(bytes.subarray(0, length), length < file.indexOf('\n') ? /no export/ : /truncated/);
    }
  });

  it('is refused when a byte of it was altered, and when lines of it are missing, repeated or moved', async () => {
    const bytes = Buffer.from(file);
    for (let at = 0; at < bytes.length; at += 1) {
      const altered = Buffer.from(bytes);
      altered[at] = (altered[at] ?? 0) ^ 1;
      await assertRefused(altered);
    }
    const lines = file.trimEnd().split('\n');
    for (const [at, line] of lines.entries()) {
      await assertRefused(joined(lines.toSpliced(at, 1)));
      await assertRefused(joined(lines.toSpliced(at, 0, line)));
    }
    const [first = '', second = ''] = lines.slice(2, 4);
    await assertRefused(joined(lines.toSpliced(2, 2, second, first)), /checksum/);
    await assertRefused(Buffer.concat([bytes, bytes]), /more after its last line/);
  });

  it('is refused when it is no export, or one of another version', async () => {
    for (const other of ['', '{}\n', '{"a":1}', 'PK\u0003\u0004', `${'x'.repeat(5_000_000)}\n`, '[]\n', 'null\n']) {
      await assertRefused(Buffer.from(other), /no export/);
    }
    await assertRefused(Buffer.from(file.replace('"version":1', '"version":2')), /version 2 .* reads version 1/);
    const [header = '', ...rest] = file.split('\n');
    await assertRefused(
      Buffer.from([header, '{"collection":"leases"}', ...rest].join('\n')),
      /knows no collection "leases"/,
    );
  });
});

async function textOf(
  records: Readonly<Record<StoreCollection, readonly object[]>>,
  onEnd: (summary: ExportSummary) => Promise<void>,
): Promise<string> {
  let text = '';
  for await (const piece of writeExport(HEADER, (collection) => pagesOf(records[collection]), onEnd)) text += piece;
  return text;
}

async function* pagesOf(records: readonly object[]): AsyncGenerator<readonly object[]> {
  for (const record of records) yield [record];
}

async function* inPieces(content: Buffer | string, size: number): AsyncGenerator<Buffer> {
  const bytes = Buffer.from(content);
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

function joined(lines: readonly string[]): Buffer {
  return Buffer.from(`${lines.join('\n')}\n`);
}

async function assertRefused(content: Buffer, message = /./): Promise<void> {
  await assert.rejects(checkExport(inPieces(content, 65_536)), (error) => {
    assert.ok(isAgentError(error, 'StoreRefused'), String(error));
    assert.match(error.message, message);
    assert.match(error.message, /^[A-Z][^\n]*\.$/);
    return true;
  });
}
