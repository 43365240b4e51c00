import assert from 'node:assert/strict';
import { createOutput } from '../../src/cli/output.ts';
import { table } from '../../src/cli/table.ts';

const nowhere = { write: () => true };
const { style } = createOutput(nowhere, nowhere, {}, false);

describe('tables', () => {
  const columns = [
    { title: 'NAME', text: ([name]: [string, string]) => name },
    { title: 'STATE', text: ([, state]: [string, string]) => state },
  ];

  it('align cells with their titles', () => {
    const text = table(
      [
        ['a', 'active'],
        ['longer', 'x'],
      ],
      columns,
      style,
    );
    assert.equal(text, 'NAME    STATE\na       active\nlonger  x');
  });

  it('without rows are a line of titles', () => {
    assert.equal(table([], columns, style), 'NAME  STATE');
  });

  it('escape control characters in names', () => {
    const text = table([['\u001b[2J\u202e', 'ä']], columns, style);
    assert.equal(text.split('\n')[1], '\\u{1b}[2J\\u{202e}  ä');
  });

  it('pad before they style', () => {
    const bold = { title: 'A', text: (row: string) => row, style: (cell: string) => `<${cell}>` };
    assert.equal(table(['x', 'long'], [bold, { title: 'B', text: () => 'b' }], style), 'A     B\n<x   >  b\n<long>  b');
  });
});
