import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { systemClock } from '../../../src/util/clock.ts';
import { openLmdbStore } from '../../../src/store/lmdb/lmdb-store.ts';
import type { Store } from '../../../src/store/store.ts';
import { builtFile } from '../../support/built-agent.ts';
import { addCleanup } from '../../support/cleanup.ts';
import { makeFolder } from '../../support/folders.ts';

/** A process of its own that holds, or wants to hold, the store in a folder. */
interface Holder {
  readonly child: ChildProcess;
  readonly lines: Interface;
  /** Its first line: `holds <storeId>` or `refused <why>`. */
  readonly first: string;
  /** The number of the last record that was answered. */
  lastAnswered(): number;
}

async function startHolder(folder: string): Promise<Holder> {
  const child = spawn(process.execPath, [await builtFile('test/store/lmdb/hold-lmdb.js'), folder], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  addCleanup(() => void child.kill('SIGKILL'));
  assert.ok(child.stdout !== null);
  const lines = createInterface({ input: child.stdout });
  const [first] = (await once(lines, 'line')) as [string];
  let last = -1;
  lines.on('line', (line) => (last = Number(line)));
  return { child, lines, first, lastAnswered: () => last };
}

async function open(folder: string): Promise<Store> {
  const store = await openLmdbStore({ folder, clock: systemClock, randomBytes });
  addCleanup(() => store.close());
  return store;
}

async function refused(folder: string, pid: number | undefined): Promise<void> {
  await assert.rejects(open(folder), {
    code: 'StoreInUse',
    message: new RegExp(`^The store in .* is held by (this )?process \\(?${pid}\\)?: stop that agent, or .*\\.$`),
  });
}

describe('the owner of a folder with LMDB', function () {
  this.timeout(60_000);

  it('is one agent, also within one process', async () => {
    const folder = makeFolder('lmdb');
    const store = await open(folder);
    await refused(folder, process.pid);
    await store.check();
    await store.close();
    await (await open(folder)).check();
  });

  it('is refused while another process holds the folder, suspended or not, and changes immediately after a SIGKILL', async () => {
    const folder = makeFolder('lmdb');
    const holder = await startHolder(folder);
    assert.match(holder.first, /^holds /);
    await refused(folder, holder.child.pid);

    holder.child.kill('SIGSTOP');
    await refused(folder, holder.child.pid);
    holder.child.kill('SIGCONT');
    await once(holder.lines, 'line');

    holder.child.kill('SIGKILL');
    await once(holder.child, 'exit');
    const startedAt = performance.now();
    const store = await open(folder);
    assert.ok(performance.now() - startedAt < 1000);
    assert.equal(`holds ${store.storeId}`, holder.first);
  });

  it('keeps every record that was answered before a SIGKILL', async () => {
    const folder = makeFolder('lmdb');
    for (let round = 0; round < 3; round++) {
      const inner = join(folder, String(round));
      const holder = await startHolder(inner);
      while (holder.lastAnswered() < 20) await once(holder.lines, 'line');
      holder.child.kill('SIGKILL');
      await once(holder.child, 'close');
      const store = await open(inner);
      const last = await store.namespaces.get(`taskcluster-${holder.lastAnswered()}`);
      assert.equal(last?.namespace, `taskcluster-${holder.lastAnswered()}`);
      const all = await store.namespaces.list({ limit: 1_000_000 });
      assert.ok(all.length > holder.lastAnswered());
      const due = await store.namespaces.dueForExpiry({ states: ['active'], beforeMs: 1e15, limit: 1_000_000 });
      assert.equal(due.length, all.length);
    }
  });

  it('is one of several processes that start concurrently after a SIGKILL', async () => {
    const folder = makeFolder('lmdb');
    const dead = await startHolder(folder);
    dead.child.kill('SIGKILL');
    await once(dead.child, 'exit');
    const holders = await Promise.all([1, 2, 3, 4].map(async () => await startHolder(folder)));
    const firsts = holders.map((holder) => holder.first.replace(/ .*/, ''));
    assert.deepStrictEqual(
      firsts.toSorted((left, right) => (left < right ? -1 : 1)),
      ['holds', 'refused', 'refused', 'refused'],
      holders.map((h) => h.first).join(),
    );
  });

  it('is one of many that open the folder concurrently within a process', async () => {
    const folder = makeFolder('lmdb');
    const results = await Promise.allSettled(Array.from({ length: 8 }, async () => await open(folder)));
    assert.equal(results.filter((result) => result.status === 'fulfilled').length, 1);
    for (const result of results) if (result.status === 'rejected') assert.equal(result.reason.code, 'StoreInUse');
  });

  it('works in a folder whose path is too long for a socket', async () => {
    const folder = join(makeFolder('lmdb'), 'x'.repeat(120));
    const store = await open(folder);
    await refused(folder, process.pid);
    await store.close();
    await open(folder);
  });

  it('leaves only the database in the folder when the store is closed', async () => {
    const folder = makeFolder('lmdb');
    await (await open(folder)).close();
    assert.deepStrictEqual(readdirSync(folder).toSorted(), ['store.mdb', 'store.mdb-lock']);
  });

  it('says in one sentence when the folder cannot be used', async () => {
    const folder = makeFolder('lmdb');
    mkdirSync(join(folder, 'store.mdb'));
    await assert.rejects(open(join(folder, 'store.mdb', '..')), { code: 'StoreUnavailable' });
    await assert.rejects(open('/dev/null/store'), {
      code: 'StoreUnavailable',
      message: /^The store in \/dev\/null\/store cannot be used \(.*\): check that/,
    });
  });
});
