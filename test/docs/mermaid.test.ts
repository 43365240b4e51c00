import assert from 'node:assert/strict';
import { validate } from '@probelabs/maid';
import { NAMESPACE_STATES } from '../../src/store/namespace-record.ts';
import { QUEUE_ALERT_LEVELS } from '../../src/store/queue-alert-records.ts';
import { type Block, blocksOf } from './blocks.ts';
import { DOCUMENTS } from './documents.ts';

const diagrams = DOCUMENTS.flatMap((path) => blocksOf(path).filter(({ language }) => language === 'mermaid'));

/** The states that a state diagram names. */
function statesOf({ text }: Block): string[] {
  const arrows = [...text.matchAll(/^ *(\S+) --> (\S+)/gm)].flatMap(([, from = '', to = '']) => [from, to]);
  // The parser takes `over` for a keyword, so a state may have an alias.
  const aliases = new Map(
    [...text.matchAll(/^ *state "(\S+)" as (\S+)/gm)].map(([, name = '', alias = '']) => [alias, name]),
  );
  return [...new Set(arrows)]
    .filter((state) => state !== '[*]')
    .map((state) => aliases.get(state) ?? state)
    .toSorted();
}

function diagramUnder(heading: string): Block {
  const found = diagrams.find((block) => block.heading === heading && block.text.startsWith('stateDiagram-v2'));
  assert.ok(found, heading);
  return found;
}

describe('Mermaid diagrams', () => {
  it('README.md and docs/design.md have some', () => {
    for (const path of ['README.md', 'docs/design.md']) {
      assert.ok(
        diagrams.some(({ place }) => place.startsWith(`${path}:`)),
        path,
      );
    }
  });

  for (const { place, text } of diagrams) {
    it(`${place} parses`, () => {
      assert.deepEqual(validate(text).errors, []);
    });
  }

  it('the parser reports a wrong diagram', () => {
    assert.ok(validate('flowchart LR\n  a[[ --> b\n').errors.length > 0);
  });

  it('the states of a namespace are those of the record', () => {
    assert.deepEqual(statesOf(diagramUnder('States of a namespace')), NAMESPACE_STATES.toSorted());
  });

  it('the levels of an alert are those of its record', () => {
    assert.deepEqual(statesOf(diagramUnder('Watching queues')), QUEUE_ALERT_LEVELS.toSorted());
  });
});
