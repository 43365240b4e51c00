import assert from 'node:assert/strict';
import {
  callsOfCpu,
  callsOfHeap,
  largestFunctions,
  partOfSource,
  type Place,
  sharesOf,
  totalOf,
} from '../../bench/profile-parts.ts';

function placeAt(url: string, functionName = 'work'): Place {
  return { functionName, url, lineNumber: 0, columnNumber: 0 };
}

describe('a profile of the bench', () => {
  const got = placeAt('node_modules/got/dist/index.js');
  const socket = placeAt('node:net', 'write');
  const profile = {
    nodes: [
      { id: 1, callFrame: placeAt('', '(root)'), children: [2, 4] },
      { id: 2, callFrame: got, children: [3] },
      { id: 3, callFrame: socket },
      { id: 4, callFrame: socket },
    ],
    samples: [2, 3, 4, 3],
    timeDeltas: [1000, 2000, 4000, 500],
  };

  it('gives each function its own time', () => {
    const root = callsOfCpu(profile);
    assert.equal(totalOf(root), 7.5);
    assert.deepEqual(
      largestFunctions(root, ({ functionName }) => functionName, 2),
      [
        { name: 'write', own: 6.5 },
        { name: 'work', own: 1 },
      ],
    );
  });

  it('gives a part the time of node that it called, and node what it did on its own', () => {
    const shares = sharesOf(callsOfCpu(profile), ({ url }) => partOfSource(url));
    assert.deepEqual(shares.get('got'), { own: 1, withNode: 3.5 });
    assert.deepEqual(shares.get('node: sockets, streams, buffers'), { own: 6.5, withNode: 4 });
  });

  it('gives each function the bytes that it allocated', () => {
    const root = callsOfHeap({
      callFrame: got,
      selfSize: 10,
      children: [{ callFrame: socket, selfSize: 5, children: [] }],
    });
    assert.equal(totalOf(root), 15);
  });

  it('finds the part of a source file', () => {
    assert.equal(partOfSource('../../node_modules/@pinojs/redact/index.js'), '@pinojs/redact');
    assert.equal(partOfSource('src/requests/methods/handlers.ts'), 'src/requests');
    assert.equal(partOfSource('node:_http_client'), 'node: http');
    assert.equal(partOfSource(''), 'node: native');
  });
});
