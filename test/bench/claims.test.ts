import assert from 'node:assert/strict';
import { measureClaims } from '../../bench/claims.ts';
import { openSite } from '../../bench/site.ts';
import { verdict } from '../../bench/table.ts';
import { createVhost, manage, useSharedBroker } from '../support/broker.ts';
import { builtProgram } from '../support/built-agent.ts';
import { addCleanup } from '../support/cleanup.ts';
import { makeFolder, unique } from '../support/folders.ts';

describe('the bench of claims', () => {
  const broker = useSharedBroker();

  it('measures a built agent, each figure against a limit of the same run', async function () {
    this.timeout(180_000);
    const { amqpUrl, managementUrl, user, password, requestVhost } = await createVhost(broker());
    const namespacePrefix = unique('taskcluster-bench');
    const names = { id: unique('agent'), requestVhost, usernamePrefix: unique('user'), namespacePrefix };
    const site = await openSite({
      folder: makeFolder('bench'),
      progress: () => undefined,
      place: { amqpUrl, managementUrl, user, password, names },
      program: await builtProgram(),
    });
    addCleanup(async () => {
      await site.forgetStore();
      for (const { name } of await site.management.listUsers()) {
        if (name.includes(names.id)) {
          await manage(broker(), 'DELETE', `/users/${encodeURIComponent(name)}`);
        }
      }
      await site.close();
    });
    const sizes = [1, 4].map((concurrency) => ({ count: 8, concurrency }));
    const rows = await measureClaims(site, () => undefined, {
      rounds: 1,
      namespaces: 8,
      warmUp: 4,
      reclaims: sizes,
      newClaims: sizes,
      idleMs: 0,
    });
    assert.deepEqual(
      rows.map(({ what }) => what),
      [
        're-claim, one at a time',
        're-claim, one at a time, sealed',
        're-claims, 4 in flight',
        're-claims, 4 in flight, sealed',
        'new claim, one at a time',
        'new claims, 4 in flight',
        'memory of an idle agent',
        'memory after the claims',
        'memory at most, during the claims',
      ],
    );
    for (const row of rows) {
      assert.ok(Number.isFinite(row.ratio) && (row.ratio ?? 0) > 0, `${row.what}: ${row.ratio}`);
      assert.ok(Object.values(row.figures ?? {}).every(Number.isFinite), row.what);
    }
    // All but the sealed re-claim alone have a goal.
    assert.deepEqual(
      rows.filter((row) => verdict(row) === '').map(({ what }) => what),
      ['re-claim, one at a time, sealed'],
    );
  });
});
