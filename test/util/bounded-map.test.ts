import assert from 'node:assert/strict';
import { BoundedMap } from '../../src/util/bounded-map.ts';

describe('a bounded map', () => {
  it('drops the entry that was set longest ago', () => {
    const map = new BoundedMap<string, number>({ maxSize: 2 });
    map.set('a', 1);
    map.set('b', 2);
    map.set('a', 3);
    map.set('c', 4);
    assert.deepEqual([map.get('a'), map.get('b'), map.get('c')], [3, undefined, 4]);
    assert.deepEqual([...map.values()], [3, 4]);
    assert.equal(map.size, 2);
    assert.equal(map.delete('a'), true);
    assert.equal(map.size, 1);
  });

  it('drops expired entries from the oldest on, until the first that is not', () => {
    let now = 0;
    const map = new BoundedMap<string, number>({ isExpired: (untilMs) => untilMs <= now });
    map.set('short', 1);
    map.set('long', 10);
    map.set('behind', 2);
    now = 5;
    map.set('new', 20);
    assert.deepEqual([...map.values()], [10, 2, 20]);
    now = 10;
    map.set('newer', 20);
    assert.deepEqual([...map.values()], [20, 20]);
  });
});
