import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { systemClock } from '../../src/util/clock.ts';
import { openStore } from '../../src/store/open-store.ts';
import { addCleanup } from '../support/cleanup.ts';
import { makeFolder } from '../support/folders.ts';
import { mongoDatabase, useSharedMongoDB } from '../support/mongodb.ts';

const dependencies = { clock: systemClock, randomBytes };

describe('openStore', () => {
  const mongodb = useSharedMongoDB();

  it('opens LMDB and MongoDB by their URLs', async () => {
    const urls = { lmdb: `lmdb:${makeFolder('lmdb')}`, mongodb: mongoDatabase(mongodb()) };
    for (const [kind, url] of Object.entries(urls)) {
      const store = await openStore(url, dependencies);
      addCleanup(() => store.close());
      assert.equal(store.kind, kind);
    }
  });

  it('refuses any other URL without showing it', async () => {
    for (const url of ['', 'lmdb:', 'postgres://user:hunter2@host/', 'mongodb:host', '/var/lib/pulse-agent']) {
      await assert.rejects(openStore(url, dependencies), (error: Error) => {
        assert.match(error.message, /^STORE_URL must begin with mongodb:\/\/, mongodb\+srv:\/\/ or lmdb:\.$/);
        return error.name === 'ConfigurationFault';
      });
    }
  });

  it("does not load MongoDB's driver for LMDB", () => {
    const script = `
      import { randomBytes } from 'node:crypto';
      import { createRequire } from 'node:module';
      import { openStore } from './src/store/open-store.ts';
      import { systemClock } from './src/util/clock.ts';
      const store = await openStore(process.argv[1], { clock: systemClock, randomBytes });
      await store.close();
      const loaded = Object.keys(createRequire(import.meta.url).cache);
      console.log(loaded.some((file) => /node_modules\\/(mongodb|bson)\\//.test(file)));`;
    const url = `lmdb:${makeFolder('lmdb')}`;
    const printed = execFileSync(process.execPath, ['--import=tsx', '--input-type=module', '-e', script, url]);
    assert.equal(String(printed).trim(), 'false');
  }).timeout(30_000);
});
