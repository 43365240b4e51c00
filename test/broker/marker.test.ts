import assert from 'node:assert/strict';
import { claimBroker, markerName } from '../../src/broker/marker.ts';
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
  let prefixes: { usernamePrefix: string; namespacePrefix: string };
  beforeEach(async () => {
    room = await openBrokerFixture();
    prefixes = { usernamePrefix: unique('user-'), namespacePrefix: 'taskcluster-' };
    const name = markerName(prefixes);
    addCleanup(() => room.management.deleteGlobalParameter(name).then(() => undefined));
  });

  const claim = (storeId: string, adopt = false, management: Parameters<typeof claimBroker>[0] = room.management) =>
    claimBroker(management, { storeId, id: room.id, ...prefixes, adopt }, systemClock);
  it('is written once and recognised afterwards', async () => {
    assert.equal(await claim('store-1'), 'marked');
    assert.equal(await claim('store-1'), 'ours');
    const mark = await room.management.getGlobalParameter(markerName(prefixes));
    assert.ok(typeof mark === 'object' && mark !== null && 'storeId' in mark && 'since' in mark);
    assert.equal(mark.storeId, 'store-1');
    assert.ok(Math.abs(Date.parse(String(mark.since)) - Date.now()) < 60_000);
  });

  it('rejects another store until an operator adopts the broker for it', async () => {
    await claim('store-1');
    await assert.rejects(claim('store-2'), foreign);
    assert.equal(await claim('store-1'), 'ours');
    assert.equal(await claim('store-2', true), 'adopted');
    await assert.rejects(claim('store-1'), foreign);
  });

  it('of another form is not recognised', async () => {
    await room.management.putGlobalParameter(markerName(prefixes), { storeId: 7 });
    await assert.rejects(claim('store-1'), foreign);
    assert.equal(await claim('store-1', true), 'adopted');
  });

  it('allows two installations with different prefixes on one broker', async () => {
    await claim('store-1');
    prefixes = { ...prefixes, namespacePrefix: unique('other-') };
    const name = markerName(prefixes);
    addCleanup(() => room.management.deleteGlobalParameter(name).then(() => undefined));
    assert.equal(await claim('store-2'), 'marked');
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
