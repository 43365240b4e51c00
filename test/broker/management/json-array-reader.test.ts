import assert from 'node:assert/strict';
import { createJsonArrayReader } from '../../../src/broker/management/json-array-reader.ts';

const LISTS: readonly (readonly unknown[])[] = [
  [],
  [{}],
  [1, 'two', null, true],
  [{ name: 'a' }, { name: 'b', tags: ['x', 'y'], limits: { 'max-connections': 1 } }],
  [['[', { a: [[]] }], ']', '}', '{', ',', '"', '\\', '\\"', '\\\\', '\\\\"', 'ä,€😀'],
];

/** The text in pieces of at most `size` characters. */
function pieces(text: string, size: number): string[] {
  return Array.from({ length: Math.ceil(text.length / size) }, (_, index) =>
    text.slice(index * size, (index + 1) * size),
  );
}

function read(text: string, size: number): { elements: unknown[]; isComplete: boolean } {
  const reader = createJsonArrayReader(JSON.parse);
  const elements = pieces(text, size).flatMap((piece) => reader.push(piece));
  return { elements, isComplete: reader.isComplete() };
}

describe('the elements of a JSON array that arrives in pieces', () => {
  it('are those of JSON.parse, wherever the text is cut', () => {
    for (const list of LISTS) {
      for (const text of [JSON.stringify(list), ` ${JSON.stringify(list, null, 2)}\r\n`]) {
        for (let size = 1; size <= text.length; size += 1) {
          assert.deepEqual(read(text, size), { elements: list, isComplete: true }, `${text} in pieces of ${size}`);
        }
      }
    }
  });

  it('are returned once they are complete, and not kept', () => {
    const texts: string[] = [];
    const reader = createJsonArrayReader((text) => {
      texts.push(text);
      return JSON.parse(text) as unknown;
    });
    assert.deepEqual(reader.push('[{"a":1},{"a":'), [{ a: 1 }]);
    assert.deepEqual(reader.push('2},{"a":3}'), [{ a: 2 }]);
    assert.deepEqual(reader.push(']'), [{ a: 3 }]);
    assert.deepEqual(texts, ['[{"a":1}]', '[{"a":2}]', '[{"a":3}]']);
  });

  it('are incomplete when a part is missing, is not JSON, or follows the end', () => {
    for (const list of LISTS) {
      const text = JSON.stringify(list);
      for (let length = 0; length < text.length; length += 1) {
        assert.ok(!read(text.slice(0, length), 3).isComplete, text.slice(0, length));
      }
    }
    for (const text of ['', '  ', '{"a":1}', '"text"', '<html>', '[1,]', '[}]', '[1 2]', '[1]]', '[1],', '[{]}']) {
      for (const size of [1, 100]) assert.ok(!read(text, size).isComplete, text);
    }
  });
});
