import assert from 'node:assert/strict';
import { pauseBefore } from '../../src/page/retry-pace.ts';
import { emptyText, pageSpan, readTableState, sortBy } from '../../src/page/table-state.ts';

const NAME = { sort: 'queue', first: 'asc' } as const;
const DEPTH = { sort: 'messages', first: 'desc' } as const;
const COLUMNS = [NAME, DEPTH];

describe('a table of the page', () => {
  it('reads its order from the address, and takes its own where that makes no sense', () => {
    assert.deepEqual(readTableState({}, COLUMNS, 'messages'), { sort: 'messages', order: 'desc', offset: 0 });
    const given = { sort: 'queue', order: 'desc', offset: '50' };
    assert.deepEqual(readTableState(given, COLUMNS, 'messages'), { sort: 'queue', order: 'desc', offset: 50 });
    const wrong = { sort: 'drop', order: 'up', offset: '-1' };
    assert.deepEqual(readTableState(wrong, COLUMNS, 'messages'), { sort: 'messages', order: 'desc', offset: 0 });
  });

  it('sorts by a header in its own order first, then in the other one, from the first page on', () => {
    const start = { sort: 'messages', order: 'desc', offset: 100 } as const;
    assert.deepEqual(sortBy(start, NAME), { sort: 'queue', order: 'asc', offset: 0 });
    assert.deepEqual(sortBy(start, DEPTH), { sort: 'messages', order: 'asc', offset: 0 });
    assert.deepEqual(sortBy(sortBy(start, DEPTH), DEPTH), { ...start, offset: 0 });
  });

  it('knows the pages around the one that is shown', () => {
    assert.deepEqual(pageSpan(0, 3, 3), { first: 1, last: 3, total: 3, previous: undefined, next: undefined });
    assert.deepEqual(pageSpan(0, 50, 120), { first: 1, last: 50, total: 120, previous: undefined, next: 50 });
    assert.deepEqual(pageSpan(50, 50, 120), { first: 51, last: 100, total: 120, previous: 0, next: 100 });
    assert.deepEqual(pageSpan(100, 20, 120), { first: 101, last: 120, total: 120, previous: 50, next: undefined });
    assert.deepEqual(pageSpan(0, 0, 0), { first: 0, last: 0, total: 0, previous: undefined, next: undefined });
  });

  it('leads back from a page that is behind the end', () => {
    const span = { first: 0, last: 0, total: 120, previous: 100, next: undefined };
    assert.deepEqual(pageSpan(500, 0, 120), span);
  });

  it('says why it has no rows', () => {
    assert.equal(emptyText(0, '', 'None yet.'), 'None yet.');
    assert.equal(emptyText(0, 'abc', 'None yet.'), 'Nothing matches.');
    assert.match(emptyText(120, '', 'None yet.'), /behind the end/);
  });

  it('is asked for again every few seconds, and more rarely while nothing answers', () => {
    assert.equal(pauseBefore(0, 5000), 5000);
    assert.deepEqual(
      [1, 2, 3, 4, 5, 50].map((failures) => pauseBefore(failures, 5000)),
      [1000, 2000, 4000, 8000, 15_000, 15_000],
    );
  });
});
