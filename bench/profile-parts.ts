/** Where a function of a profile is. */
export interface Place {
  readonly functionName: string;
  readonly url: string;
  readonly lineNumber: number;
  readonly columnNumber: number;
}

/** A function in the tree of calls of a profile, with its own time or bytes, without those of its callees. */
export interface Call {
  readonly place: Place;
  readonly own: number;
  readonly children: readonly Call[];
}

/** The nodes of V8's CPU profile. */
export interface CpuProfile {
  readonly nodes: readonly { readonly id: number; readonly callFrame: Place; readonly children?: readonly number[] }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

/** The tree of V8's sampling heap profile. */
export interface HeapNode {
  readonly callFrame: Place;
  readonly selfSize: number;
  readonly children: readonly HeapNode[];
}

/** The tree of calls of a CPU profile, in ms. */
export function callsOfCpu({ nodes, samples, timeDeltas }: CpuProfile): Call {
  const own = new Map<number, number>();
  for (const [index, id] of samples.entries()) own.set(id, (own.get(id) ?? 0) + (timeDeltas[index] ?? 0) / 1000);
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const callOf = (id: number): Call => {
    const node = byId.get(id);
    if (node === undefined) throw new RangeError(`The profile has no node ${id}.`);
    return { place: node.callFrame, own: own.get(id) ?? 0, children: (node.children ?? []).map(callOf) };
  };
  const [root] = nodes;
  if (root === undefined) throw new RangeError('The profile is empty.');
  return callOf(root.id);
}

/** The tree of calls of a heap profile, in bytes. */
export function callsOfHeap({ callFrame, selfSize, children }: HeapNode): Call {
  return { place: callFrame, own: selfSize, children: children.map(callsOfHeap) };
}

/** The time or bytes of a tree of calls. */
export function totalOf({ own, children }: Call): number {
  return children.reduce((sum, child) => sum + totalOf(child), own);
}

/** How much of a profile belongs to a part of the program. */
export interface PartShare {
  /** In its own functions. */
  readonly own: number;
  /** With the functions of node and V8 that it called. */
  readonly withNode: number;
}

/**
 * Adds up a tree of calls by the parts of the program.
 *
 * @param partOf the part to which a place belongs; those of node itself begin with `node`
 */
export function sharesOf(root: Call, partOf: (place: Place) => string): Map<string, PartShare> {
  const shares = new Map<string, { own: number; withNode: number }>();
  const shareOf = (part: string): { own: number; withNode: number } => {
    const share = shares.get(part) ?? { own: 0, withNode: 0 };
    shares.set(part, share);
    return share;
  };
  const visit = (call: Call, caller: string | undefined): void => {
    const part = partOf(call.place);
    const owner = part.startsWith('node') ? (caller ?? part) : part;
    shareOf(part).own += call.own;
    shareOf(owner).withNode += call.own;
    for (const child of call.children) visit(child, owner.startsWith('node') ? undefined : owner);
  };
  visit(root, undefined);
  return shares;
}

/** The functions with the largest own share, largest first. */
export function largestFunctions(
  root: Call,
  nameOf: (place: Place) => string,
  count: number,
): { readonly name: string; readonly own: number }[] {
  const own = new Map<string, number>();
  const visit = (call: Call): void => {
    const name = nameOf(call.place);
    own.set(name, (own.get(name) ?? 0) + call.own);
    call.children.forEach(visit);
  };
  visit(root);
  return [...own]
    .map(([name, share]) => ({ name, own: share }))
    .toSorted((a, b) => b.own - a.own)
    .slice(0, count);
}

/**
 * The part of a source file: its package, `src/<room>`, or a module of node.
 *
 * @param source a path or URL, such as `../../node_modules/got/dist/index.js` or `node:net`
 */
export function partOfSource(source: string): string {
  const inPackage = /^.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(source)?.[1];
  if (inPackage !== undefined) return inPackage;
  const room = /(?:^|\/)(src\/[^/]+)\//.exec(source)?.[1];
  if (room !== undefined) return room;
  if (source.startsWith('node:')) return partOfNode(source);
  return source === '' ? 'node: native' : source;
}

/** Groups the modules of node by what they are for. */
function partOfNode(source: string): string {
  if (/_http_|node:http|undici/.test(source)) return 'node: http';
  if (/node:(net|_tls|tls|dgram)|stream|buffer/.test(source)) return 'node: sockets, streams, buffers';
  if (/crypto/.test(source)) return 'node: crypto';
  if (/timers|process\/task_queues|async_hooks|promises|abort|event/.test(source))
    return 'node: timers, events, promises';
  return 'node: other';
}
