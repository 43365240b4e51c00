import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { type Import, type ImportGraph, readImportGraph, reachable } from './support/import-graph.ts';

/** Rooms of `src/`, from the bottom. A room may import those below it, and others of its level where that makes no cycle. */
const LEVELS = [
  ['contract'],
  ['util'],
  ['config'],
  ['broker', 'store', 'events', 'audit'],
  ['namespaces', 'queues', 'notices'],
  ['requests', 'jobs', 'observe', 'verify', 'plan', 'status', 'uninstall', 'operator-api', 'operator-http'],
  ['agent'],
  ['cli'],
];

/** The client library is packed by itself; only the command line, the proxy and the end-to-end check of `verify` use it. */
const CLIENT = { imports: ['contract'], importedBy: ['proxy', 'cli', 'verify'] };

/** The proxy is a client, and knows nothing of an agent. */
const PROXY = { imports: ['client', 'contract'], importedBy: ['cli'] };

/** The operators' page runs in a browser, and is no part of the program. */
const PAGE = { types: 'src/operator-api/schemas.ts', packages: ['preact', 'preact/hooks'] };
const MAX_PAGE_LINES = 200;

/** What an agent gives to its rooms. Every room above broker, store, events and audit may import it. */
const CONTEXT = ['src/context.ts', 'src/reporters.ts'];

const MAX_LINES = 350;

describe('the source', () => {
  const graph = readImportGraph('src');

  it('has no import cycle, imports of types and dynamic imports included', () => {
    assert.deepEqual(cyclesOf(graph), []);
  });

  it('has rooms that import only rooms below them', () => {
    const upward = [...graph].flatMap(([file, imports]) =>
      imports.flatMap(({ from }) => (mayImport(file, from) ? [] : [`${file} imports ${from}`])),
    );
    assert.deepEqual(upward, []);
  });

  it('has a page that imports itself, Preact and the types of its data alone, and that the program does not import', () => {
    const others = [...graph].flatMap(([file, imports]) =>
      imports
        .filter(({ from, isTypeOnly }) => {
          if (roomOf(file) !== 'page') return roomOf(from) === 'page';
          return roomOf(from) !== 'page' && !PAGE.packages.includes(from) && !(isTypeOnly && from === PAGE.types);
        })
        .map(({ from }) => `${file} imports ${from}`),
    );
    assert.deepEqual(others, []);
  });

  it('has no two rooms that import each other', () => {
    const rooms = new Map<string, Import[]>();
    for (const [file, imports] of graph) {
      const room = roomOf(file);
      if (room === '') continue;
      const others = imports.map((one) => ({ ...one, from: roomOf(one.from) })).filter(({ from }) => from !== room);
      rooms.set(room, [...(rooms.get(room) ?? []), ...others]);
    }
    assert.deepEqual(cyclesOf(rooms), []);
  });

  it('has no two files of one name', () => {
    assert.deepEqual(repeated([...graph.keys()].map((file) => [basename(file), file])), []);
  });

  it('has no two exports of one name', () => {
    const declared = /^export (?:declare )?(?:abstract )?(?:async )?(?:function\*?|const|class|interface|type) (\w+)/gm;
    const names = [...graph.keys()].flatMap((file) => {
      const found = [...readFileSync(file, 'utf8').matchAll(declared)].map(([, name = '']) => name);
      // A type and a value of one name in one file are one thing, and overloads are one function.
      return [...new Set(found)].map((name): [string, string] => [name, file]);
    });
    assert.deepEqual(repeated(names), []);
  });

  it('reads URLs in one place each', () => {
    const places = new Set([
      'src/contract/url.ts',
      // A URL with several hosts, which `URL` cannot read.
      'src/config/mongodb-url.ts',
      // They split what parseHttpUrl has checked.
      'src/broker/management/management-http.ts',
      'src/requests/taskcluster-auth.ts',
      // The path and the query of a request.
      'src/operator-http/request-parameters.ts',
      // The page's own fragment.
      'src/page/page-routes.ts',
    ]);
    const reads =
      /\bnew URL\((?!.*(?:import\.meta\.url|PACKAGE_ROOT)\))|\bdecodeURIComponent\(|\bURL\.(?:can)?[pP]arse\(/;
    const others = [...graph.keys()].filter((file) => !places.has(file) && hasCode(file, reads));
    assert.deepEqual(others, []);
  });

  it('reads the URLs of RabbitMQ in the configuration as lists', () => {
    const single = /\bparse(?:Amqp|Http)Url\((?:this\.|settings\.|config\.)*(?:rabbitmq|publicAmqp)/;
    assert.deepEqual(
      [...graph.keys()].filter((file) => hasCode(file, single)),
      [],
    );
  });

  it(`has no file of more than ${MAX_LINES} lines, and none of more than ${MAX_PAGE_LINES} in the page`, () => {
    const long = [...graph.keys()].filter((file) => {
      const lines = readFileSync(file, 'utf8').split('\n').length - 1;
      return lines > (roomOf(file) === 'page' ? MAX_PAGE_LINES : MAX_LINES);
    });
    assert.deepEqual(long, []);
  });
});

function hasCode(file: string, pattern: RegExp): boolean {
  const lines = readFileSync(file, 'utf8').split('\n');
  return lines.some((line) => !/^\s*(?:\*|\/\/|\/\*)/.test(line) && pattern.test(line));
}

/** The first folder below `src/`; empty for files of `src/` itself, for packages and for what belongs to Node. */
function roomOf(path: string): string {
  return /^src\/([^/]+)\//.exec(path)?.[1] ?? '';
}

function levelOf(room: string): number {
  return LEVELS.findIndex((rooms) => rooms.includes(room));
}

function mayImport(file: string, from: string): boolean {
  const [room, other] = [roomOf(file), roomOf(from)];
  if (room === '') return true;
  if (CONTEXT.includes(from)) return levelOf(room) >= levelOf('namespaces');
  if (other === '' || room === other) return true;
  // A test of its own says what the page imports.
  if (room === 'page') return true;
  if (room === 'client') return CLIENT.imports.includes(other);
  if (room === 'proxy') return PROXY.imports.includes(other);
  if (other === 'proxy') return PROXY.importedBy.includes(room);
  if (other === 'client') return CLIENT.importedBy.includes(room);
  return levelOf(other) !== -1 && levelOf(other) <= levelOf(room);
}

/** The groups of nodes each of which reaches each other over imports. */
function cyclesOf(graph: ImportGraph): string[][] {
  const reached = new Map([...graph.keys()].map((node) => [node, reachable(graph, node, () => true)]));
  const cycles = [...graph.keys()]
    .filter((node) => reached.get(node)?.has(node))
    .map((node) => [...(reached.get(node) ?? [])].filter((other) => reached.get(other)?.has(node)).toSorted());
  // Each node of a cycle gives the same one.
  return cycles.filter(([first], index) => cycles.findIndex(([other]) => other === first) === index);
}

/** The names that occur more than once, each with its places. */
function repeated(named: readonly (readonly [name: string, place: string])[]): string[] {
  const places = new Map<string, string[]>();
  for (const [name, place] of named) places.set(name, [...(places.get(name) ?? []), place]);
  return [...places].filter(([, found]) => found.length > 1).map(([name, found]) => `${name}: ${found.join(', ')}`);
}
