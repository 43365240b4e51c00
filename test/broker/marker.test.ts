import assert from 'node:assert/strict';
import { assertNotForeign, claimBroker, markerNames, readFormerStoreIds } from '../../src/broker/marker.ts';
import { systemClock } from '../../src/util/clock.ts';
import { isAgentError } from '../../src/util/agent-errors.ts';
import { type BrokerFixture, openBrokerFixture } from '../support/broker-fixture.ts';
import { useSharedBroker } from '../support/broker.ts';
import { addCleanup } from '../support/cleanup.ts';
import { unique } from '../support/folders.ts';

const foreign = (error: unknown) => {
  assert.ok(isAgentError(error, 'BrokerMarked'));
  assert.match(error.message, /pulse-agent adopt/);
  return true;
};

describe('the marker', () => {
  useSharedBroker();
  let room: BrokerFixture;
  let names: Parameters<typeof readFormerStoreIds>[1];
  beforeEach(async () => {
    room = await openBrokerFixture();
    names = {
      id: room.id,
      vhost: unique('tenants'),
      requestVhost: unique('v'),
      usernamePrefix: unique('user-'),
      namespacePrefix: 'taskcluster-',
    };
    removeMarkersAfterwards();
  });

  const removeMarkersAfterwards = (): void => {
    for (const name of markerNames(names)) {
      addCleanup(() => room.management.deleteGlobalParameter(name).then(() => undefined));
    }
  };

  const otherInstallation = (): typeof names => ({
    id: unique('other'),
    vhost: unique('tenants'),
    requestVhost: unique('v'),
    usernamePrefix: '',
    namespacePrefix: unique('other-'),
  });

  const claim = (storeId: string, adopt = false, management: Parameters<typeof claimBroker>[0] = room.management) =>
    claimBroker(management, { storeId, ...names, adopt }, systemClock);
  it('is written once and recognised afterwards', async () => {
    assert.equal(await claim('store-1'), 'marked');
    assert.equal(await claim('store-1'), 'ours');
    for (const name of markerNames(names)) {
      const mark = await room.management.getGlobalParameter(name);
      assert.ok(typeof mark === 'object' && mark !== null && 'storeId' in mark && 'since' in mark);
      assert.equal(mark.storeId, 'store-1');
      assert.ok(Math.abs(Date.parse(String(mark.since)) - Date.now()) < 60_000);
    }
  });

  it('rejects another store until an operator adopts the broker for it', async () => {
    await claim('store-1');
    await assert.rejects(claim('store-2'), foreign);
    assert.equal(await claim('store-1'), 'ours');
    assert.equal(await claim('store-2', true), 'adopted');
    await assert.rejects(claim('store-1'), foreign);
  });

  it('of another form is not recognised', async () => {
    for (const name of markerNames(names)) {
      await room.management.putGlobalParameter(name, { storeId: 7 });
      await assert.rejects(claim('store-1'), foreign);
      assert.equal(await claim('store-1', true), 'adopted');
    }
  });

  it('allows two installations on one broker that share no name', async () => {
    await claim('store-1');
    names = otherInstallation();
    removeMarkersAfterwards();
    assert.equal(await claim('store-2'), 'marked');
  });

  for (const [title, shared] of [
    ['id', (own: typeof names) => ({ id: own.id })],
    ['vhost of the requests', (own: typeof names) => ({ requestVhost: own.requestVhost })],
    ['prefixes', ({ usernamePrefix, namespacePrefix }: typeof names) => ({ usernamePrefix, namespacePrefix })],
  ] as const) {
    it(`rejects a second installation with the same ${title}, and writes nothing`, async () => {
      await claim('store-1');
      const own = names;
      names = otherInstallation();
      names = { ...names, ...shared(own) };
      removeMarkersAfterwards();
      await assert.rejects(claim('store-2'), foreign);
      await assert.rejects(assertNotForeign(room.management, { ...names, storeId: 'store-2' }), foreign);
      const present = await Promise.all(markerNames(names).map((name) => room.management.getGlobalParameter(name)));
      assert.equal(present.filter((marker) => marker !== undefined).length, 1);
    });
  }

  for (const name of ['id', 'vhost', 'requestVhost', 'usernamePrefix', 'namespacePrefix'] as const) {
    it(`rejects an agent of the same store with another ${name}, until an operator changes it for all`, async () => {
      await claim('store-1');
      const own = names;
      names = { ...own, [name]: unique('changed') };
      removeMarkersAfterwards();
      for (const start of [
        () => claim('store-1'),
        () => assertNotForeign(room.management, { ...names, storeId: 'store-1' }),
      ]) {
        await assert.rejects(start, (error) => {
          foreign(error);
          assert.match(
            (error as Error).message,
            new RegExp(`${name} is "${own[name]}" there and "${names[name]}" here`),
          );
          return true;
        });
      }
      assert.equal(await claim('store-1', true), 'adopted');
      assert.equal(await claim('store-1'), 'ours');
      names = own;
      await assert.rejects(claim('store-1'), foreign);
    });
  }

  it('remembers from which stores it was taken over', async () => {
    await claim('store-1');
    assert.deepEqual(await readFormerStoreIds(room.management, names), []);
    await claim('store-2', true);
    await claim('store-3', true);
    assert.deepEqual(await readFormerStoreIds(room.management, names), ['store-1', 'store-2']);
    await claim('store-1', true);
    assert.deepEqual(await readFormerStoreIds(room.management, names), ['store-2', 'store-3']);
  });

  it('of another store wins when it is written in between', async () => {
    const { management } = room;
    const overtaken: Parameters<typeof claimBroker>[0] = {
      getGlobalParameter: (...args) => management.getGlobalParameter(...args),
      async putGlobalParameter(name, value, options) {
        const outcome = await management.putGlobalParameter(name, value, options);
        await management.putGlobalParameter(name, { ...value, storeId: 'store-2' }, options);
        return outcome;
      },
    };
    await assert.rejects(claim('store-1', false, overtaken), foreign);
  });
});
