import assert from 'node:assert/strict';
import type { Namespace } from '../../src/client/client.ts';
import {
  columnsOf,
  defaultColumns,
  differenceText,
  namespacesTable,
  namespaceText,
  sortNamespaces,
} from '../../src/cli/namespace-columns.ts';
import { createOutput } from '../../src/cli/output.ts';

const nowhere = { write: () => true };
const { style } = createOutput(nowhere, nowhere, {}, false);

const OLD: Namespace = {
  namespace: 'taskcluster-old',
  created: '2026-11-24T12:00:00.000Z',
  expires: '2026-11-24T16:00:00.000Z',
  state: 'active',
};
const COUNTS = { at: '2026-11-24T12:30:00.000Z', queues: 3, messages: 120, connections: 2 };
const FULL: Namespace = {
  ...OLD,
  namespace: 'taskcluster-full',
  details: {
    holder: 'project/x',
    lastClaim: '2026-11-24T12:10:00.000Z',
    nextRotation: '2026-11-24T13:00:00.000Z',
    counts: COUNTS,
  },
};

describe('namespaces as text', () => {
  it('a table with details, and "-" for what an older agent does not return', () => {
    const rows = [OLD, FULL];
    assert.deepEqual(
      namespacesTable(rows, defaultColumns(rows, true), style)
        .split('\n')
        .map((line) => line.split(/ {2,}/)),
      [
        ['NAMESPACE', 'STATE', 'HOLDER', 'LAST CLAIM', 'EXPIRES', 'NEXT ROTATION', 'QUEUES', 'MESSAGES', 'CONNECTIONS'],
        ['taskcluster-old', 'active', '-', '-', '2026-11-24T16:00:00Z', '-', '-', '-', '-'],
        [
          'taskcluster-full',
          'active',
          'project/x',
          '2026-11-24T12:10:00Z',
          '2026-11-24T16:00:00Z',
          '2026-11-24T13:00:00Z',
          '3',
          '120',
          '2',
        ],
      ],
    );
  });

  it('a table of what is public', () => {
    const [titles] = namespacesTable([OLD], defaultColumns([OLD], false), style).split('\n');
    assert.match(titles ?? '', /^NAMESPACE +STATE +CREATED +EXPIRES$/);
    const blocked: Namespace = { ...OLD, state: 'expiring', blockedBy: 'a node is down' };
    assert.match(
      namespacesTable([blocked], defaultColumns([blocked], false), style),
      /WAITS, BECAUSE\n.*a node is down$/,
    );
  });

  it('the columns that were asked for', () => {
    const text = namespacesTable([FULL], columnsOf('messages, COUNTEDAT,namespace'), style);
    assert.deepEqual(text.split('\n')[1]?.split(/ {2,}/), ['120', '2026-11-24T12:30:00Z', 'taskcluster-full']);
    assert.throws(() => columnsOf('namespace,size'), /no column size: give --columns as one of namespace, state/);
  });

  it('the messages are a lower bound where the depth of some queues is unknown', () => {
    const uncounted: Namespace = { ...FULL, details: { holder: 'x', counts: { ...COUNTS, uncountedQueues: 1 } } };
    assert.match(namespacesTable([uncounted], ['messages'], style), /≥ 120$/);
  });

  it('one namespace, a line for each field', () => {
    assert.deepEqual(
      namespaceText(FULL, true, style)
        .split('\n')
        .map((line) => line.trim().split(/ {2,}/)),
      [
        ['taskcluster-full'],
        ['state', 'active'],
        ['holder', 'project/x'],
        ['last claim', '2026-11-24T12:10:00Z'],
        ['created', '2026-11-24T12:00:00Z'],
        ['expires', '2026-11-24T16:00:00Z'],
        ['next rotation', '2026-11-24T13:00:00Z'],
        ['queues', '3'],
        ['messages', '120'],
        ['connections', '2'],
        ['counted at', '2026-11-24T12:30:00Z'],
      ],
    );
    assert.match(namespaceText(OLD, true, style), /\n {2}holder +-\n/);
    assert.doesNotMatch(namespaceText(OLD, false, style), /holder|messages/);
  });

  it('without control characters, which could change what a terminal shows', () => {
    const strange: Namespace = { ...FULL, details: { ...FULL.details, holder: 'x\u001b[2Jy' } };
    const texts = [
      namespacesTable([strange], ['holder'], style),
      namespaceText(strange, true, style),
      differenceText(FULL, strange, ['holder']),
    ];
    for (const text of texts) assert.ok(text.includes(String.raw`x\u{1b}[2Jy`), text);
  });

  it('what differs between two views', () => {
    const later: Namespace = {
      ...FULL,
      state: 'expiring',
      details: { holder: 'project/x', counts: { ...COUNTS, at: '2026-11-24T12:31:00.000Z', messages: 7 } },
    };
    const columns = defaultColumns([later], true);
    assert.equal(
      differenceText(FULL, later, columns),
      'state active → expiring, last claim 2026-11-24T12:10:00Z → -, next rotation 2026-11-24T13:00:00Z → -, messages 120 → 7',
    );
    assert.equal(differenceText(FULL, FULL, columns), '');
  });

  it('sorted: numbers from the largest, instants from the earliest, what is unknown last in both directions', () => {
    const many: Namespace = {
      ...FULL,
      namespace: 'b',
      expires: '2026-11-24T15:00:00.000Z',
      details: { holder: 'a', counts: { ...COUNTS, messages: 500 } },
    };
    const names = (by: string, isReverse = false): string[] =>
      sortNamespaces([OLD, FULL, many], by, isReverse).map(({ namespace }) => namespace);
    assert.deepEqual(names('messages'), ['b', 'taskcluster-full', 'taskcluster-old']);
    assert.deepEqual(names('messages', true), ['taskcluster-full', 'b', 'taskcluster-old']);
    assert.deepEqual(names('holder'), ['b', 'taskcluster-full', 'taskcluster-old']);
    assert.deepEqual(names('expires')[0], 'b');
    assert.deepEqual(names('namespace', true), ['taskcluster-old', 'taskcluster-full', 'b']);
  });
});
