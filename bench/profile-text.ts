import { existsSync, readFileSync } from 'node:fs';
import { SourceMap, type SourceMapPayload } from 'node:module';
import { basename, join } from 'node:path';
import { type Call, largestFunctions, partOfSource, type Place, sharesOf, totalOf } from './profile-parts.ts';

/** Parts with a smaller share are added up, in percent. */
const SMALLEST = 0.7;
const FUNCTIONS = 20;

/** Finds the source file of a place in the bundle. */
export type SourceOf = (place: Place) => string;

/**
 * A profile as Markdown: the shares of the parts of the program, and the functions with the largest shares.
 *
 * @param sourceOf the source file of a place
 * @param each how much of a claim a share of the profile is, such as `0.12 ms`
 */
export function describeProfile(root: Call, sourceOf: SourceOf, each: (share: number) => string): string[] {
  const partOf = (place: Place): string =>
    place.functionName === '(garbage collector)' ? 'garbage collector' : partOfSource(sourceOf(place));
  const shares = [...sharesOf(root, partOf)].toSorted(([, a], [, b]) => b.own - a.own);
  const total = totalOf(root);
  const percent = (share: number): number => (100 * share) / total;
  const cells = (share: number): string => `${percent(share).toFixed(1)} % | ${each(share)}`;
  const isSmall = (share: number): boolean => percent(share) < SMALLEST;
  const rest = shares.filter(([, { own, withNode }]) => isSmall(own) && isSmall(withNode));
  return [
    '| part | own share | each | with what it calls of node | each |',
    '| --- | --- | --- | --- | --- |',
    ...shares
      .filter((share) => !rest.includes(share))
      .map(([part, { own, withNode }]) => `| ${part} | ${cells(own)} | ${cells(withNode)} |`),
    `| the rest | ${cells(rest.reduce((sum, [, { own }]) => sum + own, 0))} | | |`,
    `| all | ${cells(total)} | | |`,
    '',
    ...largestFunctions(
      root,
      (place) => `${place.functionName || '(anonymous)'} of ${sourceOf(place) || 'node'}`,
      FUNCTIONS,
    ).map(({ name, own }) => `- ${percent(own).toFixed(1)} % (${each(own)}) ${name}`),
  ];
}

/** Makes the function that finds the source file of a place in the bundle in `folder`, by its source maps. */
export function createSourceLookup(folder: string): SourceOf {
  const maps = new Map<string, SourceMap | undefined>();
  const mapOf = (name: string): SourceMap | undefined => {
    if (!maps.has(name)) {
      const file = join(folder, `${name}.map`);
      const map = existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as SourceMapPayload) : undefined;
      maps.set(name, map && new SourceMap(map));
    }
    return maps.get(name);
  };
  return ({ url, lineNumber, columnNumber }) => {
    if (!url.startsWith('file:')) return url;
    const entry = mapOf(basename(url))?.findEntry(lineNumber, columnNumber);
    const source = entry !== undefined && 'originalSource' in entry ? entry.originalSource : url;
    return source.replace(/^.*(?=node_modules\/|src\/)/, '');
  };
}
