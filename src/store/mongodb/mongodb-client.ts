import { MongoClient } from 'mongodb';
import { forcedOptions, malformed } from './mongodb-url.ts';

/** The client of a store, which says who it is and has the concerns and time-outs that the store relies on. */
export function makeClient(url: string, timeoutMs: number): MongoClient {
  try {
    return new MongoClient(url, { appName: 'pulse-agent', ...forcedOptions(timeoutMs) });
  } catch {
    // Without the driver's error, whose message quotes the URL.
    throw malformed();
  }
}
