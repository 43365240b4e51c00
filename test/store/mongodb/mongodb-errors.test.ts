import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { MongoServerError } from 'mongodb';
import { inspectMongoDB } from '../../../src/store/mongodb/inspect-mongodb.ts';
import { mongoUnavailable } from '../../../src/store/mongodb/mongodb-errors.ts';
import { openMongoStore } from '../../../src/store/mongodb/mongodb-store.ts';
import { isAgentError } from '../../../src/util/agent-errors.ts';
import { systemClock } from '../../../src/util/clock.ts';
import { runSteps } from '../../../src/verify/run-steps.ts';
import { storeSteps } from '../../../src/verify/store-steps.ts';
import { makeMongoWithoutRetries } from '../../support/mongodb-without-retries.ts';

describe('a server that is not quite MongoDB', () => {
  const explained = (error: unknown): boolean => {
    assert.ok(isAgentError(error, 'StoreUnavailable'), String(error));
    assert.match(error.message, /Retryable writes are not supported.*MongoDB 4\.4 or later.*DocumentDB/);
    return true;
  };

  it('without retryable writes cannot be the store, and the error says which servers can', async () => {
    const url = await makeMongoWithoutRetries();
    await assert.rejects(openMongoStore({ url, clock: systemClock, randomBytes }), explained);
  });

  it('is found by verify, before an agent has used it', async () => {
    const inspection = await inspectMongoDB(await makeMongoWithoutRetries(), 5000);
    const steps = storeSteps({
      isProduction: false,
      clock: systemClock,
      randomBytes,
      keyring: { has: () => true },
      openStore: async () => await Promise.resolve(inspection),
    });
    try {
      const { signal } = new AbortController();
      const reports = await runSteps(steps, { clock: systemClock, signal, onReport: () => undefined });
      const failures = reports.filter(({ outcome }) => outcome === 'failed');
      assert.deepEqual(
        failures.map(({ step }) => step),
        ['store'],
      );
      assert.match(failures[0]?.remedy ?? '', /Retryable writes are not supported.*DocumentDB/);
    } finally {
      await inspection.close();
    }
  });

  it('is distinguished from a server that fails', () => {
    const of = (code: number, errmsg: string): string =>
      mongoUnavailable(new MongoServerError({ message: errmsg, code, errmsg }), {
        servers: ['a'],
        secrets: ['hunter2'],
      }).message;
    assert.match(of(20, 'Transaction numbers are only allowed on a replica set member or mongos'), /DocumentDB/);
    assert.match(of(303, 'Feature not supported: majority'), /Feature not supported: majority.*DocumentDB/);
    assert.doesNotMatch(of(20, 'Illegal operation'), /DocumentDB/);
    assert.doesNotMatch(of(189, 'PrimarySteppedDown'), /DocumentDB/);
    assert.doesNotMatch(of(303, 'hunter2'), /hunter2/);
  });
});
