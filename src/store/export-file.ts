import { createHash } from 'node:crypto';
import * as z from 'zod';
import { AgentError } from '../util/agent-errors.ts';
import { type CollectionSummary, exportedRecord, RecordDigest } from './record-digest.ts';
import { STORE_COLLECTIONS, type StoreCollection } from './store-transfer.ts';

/** The name of the format, in the first line of a file. */
const FORMAT = 'pulse-agent-store';

/** Raised when this program could not read a file of the version before. */
const FORMAT_VERSION = 1;

/** No record is nearly as long: a longer line is none of an export. In characters. */
const MAX_LINE_LENGTH = 4 * 2 ** 20;

/** The first line of an export. */
export interface ExportHeader {
  /** The version of the program that wrote it. */
  readonly program: string;
  /** The id of the agents of the store. */
  readonly id: string;
  readonly storeId: string;
  readonly createdMs: number;
  /** In ISO 8601. */
  readonly exported: string;
}

/** What an export has of each collection. */
export type ExportSummary = Readonly<Record<StoreCollection, CollectionSummary>>;

const headerSchema = z.object({
  format: z.literal(FORMAT),
  version: z.number(),
  program: z.string(),
  id: z.string(),
  storeId: z.string().min(1),
  createdMs: z.number(),
  exported: z.string(),
});

const collectionSchema = z.object({ collection: z.string() });
const recordSchema = z.object({ record: z.record(z.string(), z.unknown()) });
const endSchema = z.object({ end: z.string(), count: z.number(), digest: z.string() });
const lastSchema = z.object({ sha256: z.string() });

/**
 * Makes the text of an export: JSON, one value a line. The first line is the header; each collection follows between a line
 * with its name and one with its count and digest; the last line has the SHA-256 of all lines before it.
 *
 * @param pages reads the records of a collection
 * @param confirm is given what the file has of each collection, before the last line: when it rejects, the file stays
 *   truncated
 */
export async function* writeExport(
  header: ExportHeader,
  pages: (collection: StoreCollection) => AsyncIterable<readonly object[]>,
  confirm: (summary: ExportSummary) => Promise<void>,
): AsyncGenerator<string> {
  const hash = createHash('sha256');
  const hashed = (text: string): string => {
    hash.update(text);
    return text;
  };
  const summary: Partial<Record<StoreCollection, CollectionSummary>> = {};
  yield hashed(line({ format: FORMAT, version: FORMAT_VERSION, ...header }));
  for (const collection of STORE_COLLECTIONS) {
    yield hashed(line({ collection }));
    const digest = new RecordDigest();
    for await (const page of pages(collection)) {
      const records = page.map(exportedRecord);
      for (const record of records) digest.add(record);
      yield hashed(records.map((record) => `{"record":${record}}\n`).join(''));
    }
    summary[collection] = digest.summary();
    yield hashed(line({ end: collection, ...summary[collection] }));
  }
  await confirm(summary as ExportSummary);
  yield line({ sha256: hash.digest('hex') });
}

function line(value: object): string {
  return `${JSON.stringify(value)}\n`;
}

/** What is done with an export while it is read. */
export interface ExportReader {
  header(header: ExportHeader): Promise<void>;
  record(collection: StoreCollection, record: object): Promise<void>;
}

/**
 * Reads an export, as it arrives, and checks it. Damage may be found only after records of it were read: at the end of
 * their collection, or of the file.
 *
 * @returns what it has of each collection
 * @throws AgentError `StoreRefused` when it is damaged, truncated or of another version; errors of `reader`
 */
export async function readExport(chunks: AsyncIterable<Buffer>, reader: ExportReader): Promise<ExportSummary> {
  const hash = createHash('sha256');
  const summary: Partial<Record<StoreCollection, CollectionSummary>> = {};
  let hasHeader = false;
  let isComplete = false;
  let open: { readonly collection: StoreCollection; readonly digest: RecordDigest } | undefined;
  for await (const { text, isWhole } of linesOf(chunks)) {
    if (isComplete) throw altered('there is more after its last line');
    if (hasHeader && !isWhole) throw truncated();
    const value = parse(text, hasHeader);
    if (!hasHeader) {
      await reader.header(headerOf(value));
      hasHeader = true;
      hash.update(`${text}\n`);
      continue;
    }
    const last = lastSchema.safeParse(value);
    if (last.success) {
      const missing = STORE_COLLECTIONS.filter((collection) => summary[collection] === undefined);
      if (missing.length > 0) throw altered(`it lacks ${missing.join(', ')}`);
      if (last.data.sha256 !== hash.digest('hex')) throw altered('its checksum does not match');
      isComplete = true;
      continue;
    }
    hash.update(`${text}\n`);
    if (open === undefined) {
      const collection = collectionOf(value);
      if (summary[collection] !== undefined) throw altered(`it has ${collection} twice`);
      open = { collection, digest: new RecordDigest() };
      continue;
    }
    const { collection, digest } = open;
    const read = recordSchema.safeParse(value);
    if (read.success) {
      digest.add(exportedRecord(read.data.record));
      await reader.record(collection, read.data.record);
      continue;
    }
    const end = endSchema.safeParse(value);
    if (end.data?.end !== collection) throw altered(`a line among its ${collection} is none of an export`);
    const found = digest.summary();
    if (found.count !== end.data.count) {
      throw altered(`it has ${found.count} ${collection} where it should have ${end.data.count}`);
    }
    if (found.digest !== end.data.digest) throw altered(`the digest of its ${collection} does not match`);
    summary[collection] = found;
    open = undefined;
  }
  if (!hasHeader) throw foreign();
  if (!isComplete) throw truncated();
  return summary as ExportSummary;
}

/** The lines of a text, also one at the end without a line feed, which is not whole. */
async function* linesOf(chunks: AsyncIterable<Buffer>): AsyncGenerator<{ text: string; isWhole: boolean }> {
  const decoder = new TextDecoder('utf-8');
  let rest = '';
  for await (const chunk of chunks) {
    rest += decoder.decode(chunk, { stream: true });
    const lines = rest.split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > MAX_LINE_LENGTH) throw foreign();
    for (const text of lines) yield { text, isWhole: true };
  }
  rest += decoder.decode();
  if (rest !== '') yield { text: rest, isWhole: false };
}

function parse(text: string, hasHeader: boolean): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw hasHeader ? altered('a line of it is no JSON') : foreign();
  }
}

function headerOf(value: unknown): ExportHeader {
  const { data } = headerSchema.safeParse(value);
  if (data === undefined) throw foreign();
  const { format: _, version, ...header } = data;
  if (version === FORMAT_VERSION) return header;
  throw refused(
    `The export has version ${version} of the format, and this program reads version ${FORMAT_VERSION}: import it with pulse-agent ${header.program}, which wrote it.`,
  );
}

function collectionOf(value: unknown): StoreCollection {
  const { data } = collectionSchema.safeParse(value);
  if (data === undefined) throw altered('a line between its collections is none of an export');
  const known = STORE_COLLECTIONS.find((collection) => collection === data.collection);
  if (known === undefined) throw altered(`this program knows no collection "${data.collection}"`);
  return known;
}

function foreign(): AgentError {
  return refused('This is no export of a store: give the file that "pulse-agent export" wrote.');
}

function truncated(): AgentError {
  return refused('The export ends too early: it is truncated. Copy the file again, or export again.');
}

function altered(what: string): AgentError {
  return refused(`The export is damaged (${what}): copy the file again, or export again.`);
}

function refused(message: string): AgentError {
  return new AgentError('StoreRefused', message);
}
