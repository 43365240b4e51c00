import { MongoClient, type MongoClientOptions } from 'mongodb';
import { invalidMongoUrl } from '../../config/mongodb-url.ts';

/** A client with the concerns and time-outs that the store depends on. */
export function createMongoClient(url: string, timeoutMs: number): MongoClient {
  try {
    return new MongoClient(url, { appName: 'pulse-agent', ...forcedOptions(timeoutMs) });
  } catch {
    // Without the driver's error, whose message quotes the URL.
    throw invalidMongoUrl();
  }
}

/** The part of the time limit in which the driver must have found a server that can be used. */
const SELECTION_SHARE = 0.8;

/**
 * The options of the driver that no URL can change: reads see what a majority has, writes are answered once a majority has
 * them, and no single step takes longer than `timeoutMs`. The driver's `timeoutMS`, which would limit a whole operation, has
 * no effect since version 7: the store gate limits that.
 */
export function forcedOptions(timeoutMs: number): MongoClientOptions {
  return {
    readPreference: 'primary',
    readConcern: { level: 'majority' },
    writeConcern: { w: 'majority', journal: true, wtimeoutMS: timeoutMs },
    retryWrites: true,
    retryReads: true,
    // Sooner than the store gate, whose error would know no reason.
    serverSelectionTimeoutMS: Math.ceil(timeoutMs * SELECTION_SHARE),
    connectTimeoutMS: timeoutMs,
    socketTimeoutMS: timeoutMs,
    waitQueueTimeoutMS: timeoutMs,
  };
}
