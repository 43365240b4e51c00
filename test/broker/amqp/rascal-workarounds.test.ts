import assert from 'node:assert/strict';
import rascal, { type Broker } from 'rascal';
import { createRascalBroker } from '../../../src/broker/amqp/rascal-workarounds.ts';
import { addCleanup } from '../../support/cleanup.ts';

type Callback = (failure: Error | null, broker?: Broker) => void;

/** Replaces rascal's creation by one that calls back when the test says so, as when a connection is cut meanwhile. */
function withholdCallback(): { readonly callBack: Callback } {
  const { createBroker } = rascal;
  let callback: Callback = () => undefined;
  const withheld = (_config: object, given: Callback): void => void (callback = given);
  Object.assign(rascal, { createBroker: withheld });
  addCleanup(() => void Object.assign(rascal, { createBroker }));
  return { callBack: (...result) => callback(...result) };
}

describe('createRascalBroker, where rascal does not call back', () => {
  it('fails at its limit, cuts the connection, and shuts down what rascal makes later', async () => {
    const { callBack } = withholdCallback();
    let cuts = 0;
    const creation = { cut: () => void (cuts += 1), closeMs: 50, limitMs: 20 };
    await assert.rejects(createRascalBroker({}, creation), { name: 'TimeoutError' });
    assert.equal(cuts, 1);
    const shutDown = new Promise<void>((resolve) => {
      const made = { on: () => made, shutdown: (done: () => void) => (done(), resolve()) };
      callBack(null, made as unknown as Broker);
    });
    await shutDown;
  });

  it('fails soon after its signal aborts, with the reason', async () => {
    withholdCallback();
    const stopping = new AbortController();
    const creating = createRascalBroker({}, { cut: () => undefined, closeMs: 20, signal: stopping.signal });
    stopping.abort(new Error('The agent stops.'));
    await assert.rejects(creating, /The agent stops/);
    const aborted = createRascalBroker({}, { cut: () => undefined, closeMs: 20, signal: stopping.signal });
    await assert.rejects(aborted, /The agent stops/);
  });
});
