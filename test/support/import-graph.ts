import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** One import, or re-export, of a file. */
export interface Import {
  /** The path of a file of the working copy, or the name of a package. */
  readonly from: string;
  /** `import type`: it is erased, so it loads nothing. */
  readonly isTypeOnly: boolean;
  /** `import('…')`: it loads when the call is made. */
  readonly isDynamic: boolean;
}

/** The imports of each file, by path from the working copy. */
export type ImportGraph = ReadonlyMap<string, readonly Import[]>;

const STATIC = /^(?:import|export) (type )?(?:[^;']*? from )?'([^']+)';/gm;
const DYNAMIC = /\bimport\('([^']+)'\)/g;

/** The TypeScript files in a folder, at any depth. */
export function typeScriptFiles(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.tsx?$/.test(name) && !name.endsWith('.d.ts'))
    .map((name) => join(folder, name))
    .toSorted();
}

/** Reads the imports of all TypeScript files in these folders. */
export function readImportGraph(...folders: readonly string[]): ImportGraph {
  return new Map(folders.flatMap(typeScriptFiles).map((file) => [file, importsOf(file)]));
}

function importsOf(file: string): Import[] {
  const text = readFileSync(file, 'utf8');
  const resolve = (from: string): string => (from.startsWith('.') ? join(dirname(file), from) : from);
  const fixed = [...text.matchAll(STATIC)].map(([, type, from = '']) => ({
    from: resolve(from),
    isTypeOnly: type !== undefined,
    isDynamic: false,
  }));
  const dynamic = [...text.matchAll(DYNAMIC)].map(([, from = '']) => ({
    from: resolve(from),
    isTypeOnly: false,
    isDynamic: true,
  }));
  return [...fixed, ...dynamic];
}

/** Everything that `file` reaches over imports that `follow` accepts: files and packages, itself excluded. */
export function reachable(graph: ImportGraph, file: string, follow: (imported: Import) => boolean): Set<string> {
  const reached = new Set<string>();
  const visit = (from: string): void => {
    for (const imported of graph.get(from) ?? []) {
      if (!follow(imported) || reached.has(imported.from)) continue;
      reached.add(imported.from);
      visit(imported.from);
    }
  };
  visit(file);
  return reached;
}
