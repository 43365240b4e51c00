import assert from 'node:assert/strict';
import { createAddressChoice, permuted } from '../../src/contract/address-choice.ts';

describe('the choice of an address', () => {
  const choiceOf = (count: number, spread = 0) => {
    let now = 0;
    const choice = createAddressChoice(count, { nowMs: () => now, spread });
    return { choice, pass: (ms: number) => void (now += ms) };
  };

  it('begins with the order of the list, and tries a failed address after all others', () => {
    const { choice } = choiceOf(3);
    assert.deepEqual(choice.order(), [0, 1, 2]);
    choice.failed(0);
    assert.deepEqual(choice.order(), [1, 2, 0]);
    choice.failed(1);
    assert.deepEqual(choice.order(), [2, 0, 1]);
  });

  it('returns to the first address when its time is up', () => {
    const { choice, pass } = choiceOf(2);
    choice.failed(0);
    pass(999);
    assert.deepEqual(choice.order(), [1, 0]);
    pass(1);
    assert.deepEqual(choice.order(), [0, 1]);
  });

  it('avoids an address that fails again for twice as long, up to a minute, until it works', () => {
    const { choice, pass } = choiceOf(2);
    for (const avoidedMs of [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]) {
      choice.failed(0);
      pass(avoidedMs - 1);
      assert.deepEqual(choice.order(), [1, 0], `after ${avoidedMs - 1} ms`);
      pass(1);
      assert.deepEqual(choice.order(), [0, 1], `after ${avoidedMs} ms`);
    }
    choice.succeeded(0);
    choice.failed(0);
    pass(1000);
    assert.deepEqual(choice.order(), [0, 1]);
  });

  it('counts connections that are lost together as one failure', () => {
    const { choice, pass } = choiceOf(2);
    for (let lost = 0; lost < 5; lost += 1) choice.failed(0);
    pass(1000);
    assert.deepEqual(choice.order(), [0, 1]);
  });

  it('tries the one that failed longest ago first when all have failed', () => {
    const { choice, pass } = choiceOf(3);
    for (const address of [2, 0, 1]) {
      choice.failed(address);
      pass(10);
    }
    assert.deepEqual(choice.order(), [2, 0, 1]);
  });

  it('spreads clients over all orders evenly', () => {
    const counts = new Map<string, number>();
    for (let client = 0; client < 600; client += 1) {
      const order = choiceOf(3, client / 600)
        .choice.order()
        .join('');
      counts.set(order, (counts.get(order) ?? 0) + 1);
    }
    assert.deepEqual([...counts.values()], [100, 100, 100, 100, 100, 100]);
  });

  it('has one order for each number', () => {
    assert.deepEqual(permuted([0, 1, 2, 3], 0), [0, 1, 2, 3]);
    assert.deepEqual(permuted([0, 1, 2, 3], 1 - 2 ** -53), [3, 2, 1, 0]);
    assert.deepEqual(permuted([0], 0.7), [0]);
  });
});
