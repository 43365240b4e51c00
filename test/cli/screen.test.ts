import assert from 'node:assert/strict';
import { stripVTControlCharacters } from 'node:util';
import { createScreen } from '../../src/cli/screen.ts';

/** A screen on a terminal with this many lines, and what it has written. */
function makeScreen(rows: number) {
  const written: string[] = [];
  return { screen: createScreen({ rows, write: (text) => written.push(text) }), written };
}

/** The lines that are drawn, without control sequences. */
const linesOf = (text = ''): string[] => stripVTControlCharacters(text).split('\n').slice(0, -1);

describe('a screen', () => {
  it('draws each text with one write, over the previous one, and clears only once', () => {
    const { screen, written } = makeScreen(10);
    screen.draw('one\ntwo');
    screen.draw('three');
    assert.equal(written.length, 2);
    assert.deepEqual(written.map(linesOf), [['one', 'two'], ['three']]);
    assert.deepEqual(
      written.map((text) => text.includes('\u001b[2J')),
      [true, false],
    );
    assert.ok(written[1]?.includes('three\u001b[K\n'), 'the rest of the line is erased');
    assert.ok(written[1]?.includes('\u001b[J'), 'the lines below are erased');
  });

  it('cuts what does not fit, so that the terminal does not scroll', () => {
    const { screen, written } = makeScreen(5);
    screen.draw('1\n2\n3\n4');
    screen.draw('1\n2\n3\n4\n5');
    assert.deepEqual(written.map(linesOf), [
      ['1', '2', '3', '4'],
      ['1', '2', '3', '… 2 more lines'],
    ]);
  });

  it('takes a usual height where the terminal does not say its own', () => {
    const { screen, written } = makeScreen(0);
    screen.draw('1\n2\n3\n4\n5');
    assert.deepEqual(written.map(linesOf), [['1', '2', '3', '4', '5']]);
  });

  it('shows the cursor again when it is closed', () => {
    const { screen, written } = makeScreen(5);
    screen.close();
    assert.deepEqual(written, []);
    screen.draw('1');
    screen.close();
    assert.equal(written.at(-1), '\u001b[?25h');
  });
});
