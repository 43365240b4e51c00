import assert from 'node:assert/strict';
import { type SortKey, type SortOrder, sortedBy } from '../../src/util/sorted-by.ts';

const sorted = (keys: readonly SortKey[], order: SortOrder) =>
  sortedBy(
    keys.map((key, place) => ({ key, place })),
    ({ key }) => key,
    order,
    (one, other) => one.place - other.place,
  ).map(({ key, place }) => `${key} ${place}`);

describe('sortedBy', () => {
  it('puts what is unknown last in both orders, and ties in the order that is given', () => {
    assert.deepEqual(sorted([3, undefined, 1, null, 3], 'asc'), ['1 2', '3 0', '3 4', 'undefined 1', 'null 3']);
    assert.deepEqual(sorted([3, undefined, 1, null, 3], 'desc'), ['3 0', '3 4', '1 2', 'undefined 1', 'null 3']);
  });

  it('sorts texts by their code units', () => {
    assert.deepEqual(sorted(['b', 'B', 'a'], 'asc'), ['B 1', 'a 2', 'b 0']);
    assert.deepEqual(sorted(['b', 'B', 'a'], 'desc'), ['b 0', 'a 2', 'B 1']);
  });
});
