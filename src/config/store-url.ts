import { assertPrintable, InvalidUrl } from '../contract/url.ts';
import { AgentError } from '../util/agent-errors.ts';
import { type MongoTarget, readMongoUrl } from './mongodb-url.ts';

/** What a store URL leads to. */
export type StoreTarget =
  | { readonly kind: 'lmdb'; readonly folder: string }
  | ({ readonly kind: 'mongodb' } & MongoTarget);

/**
 * Reads the URL of a store. What only the driver of MongoDB knows, such as the names of its options, it checks when the
 * store is opened.
 *
 * @throws AgentError `ConfigurationFault`; its message does not show the URL
 */
export function parseStoreUrl(text: string): StoreTarget {
  try {
    return readStoreUrl(text);
  } catch (error) {
    if (error instanceof InvalidUrl) throw new AgentError('ConfigurationFault', `STORE_URL ${error.message}.`);
    throw error;
  }
}

/**
 * As {@link parseStoreUrl}.
 *
 * @throws InvalidUrl
 */
export function readStoreUrl(text: string): StoreTarget {
  assertPrintable(text);
  if (/^mongodb(\+srv)?:\/\//.test(text)) return { kind: 'mongodb', ...readMongoUrl(text) };
  if (!/^lmdb:./.test(text)) throw new InvalidUrl('must begin with mongodb://, mongodb+srv:// or lmdb:');
  const folder = text.slice('lmdb:'.length);
  if (/^[~$]/.test(folder)) {
    throw new InvalidUrl('must name the folder behind lmdb: itself: only a shell replaces ~ and $ variables');
  }
  // `lmdb:///var/lib/x` has the form of other URLs, and means what it says.
  if (/^\/\/(?!\/)/.test(folder)) {
    throw new InvalidUrl('must be lmdb:<folder>, such as lmdb:/var/lib/pulse-agent: no host can follow');
  }
  return { kind: 'lmdb', folder };
}
