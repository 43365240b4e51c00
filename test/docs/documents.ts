import { readdirSync, readFileSync } from 'node:fs';

/** The paths of all documents in Markdown. */
export const DOCUMENTS: readonly string[] = [
  ...readdirSync('.').filter((name) => name.endsWith('.md')),
  ...readdirSync('docs').flatMap((name) => (name.endsWith('.md') ? [`docs/${name}`] : [])),
  ...readdirSync('clients').map((name) => `clients/${name}/README.md`),
];

/** The text of a document in docs/. */
export function readDocument(name: string): string {
  return readFileSync(new URL(`../../docs/${name}`, import.meta.url), 'utf8');
}

/** The cells of every table row whose first cell is a name in backquotes, by that name. */
export function rowsByName(markdown: string): ReadonlyMap<string, readonly string[]> {
  const rows = new Map<string, readonly string[]>();
  for (const line of markdown.split('\n')) {
    const name = /^\| `([^`]+)`/.exec(line)?.[1];
    if (name === undefined) continue;
    const cells = line.split('|').slice(1, -1);
    rows.set(
      name,
      cells.map((cell) => cell.trim()),
    );
  }
  return rows;
}

/** The part of a document under a heading, up to the next one that is not below it. */
export function section(markdown: string, heading: string): string {
  const lines = markdown.split('\n');
  const start = lines.indexOf(heading);
  if (start === -1) throw new Error(`There is no heading "${heading}".`);
  const level = heading.indexOf(' ');
  const length = lines.slice(start + 1).findIndex((line) => {
    const hashes = /^#+(?= )/.exec(line)?.[0].length;
    return hashes !== undefined && hashes <= level;
  });
  return lines.slice(start, length === -1 ? undefined : start + 1 + length).join('\n');
}

/** The scripts of package.json. */
export function readPackageScripts(): Readonly<Record<string, string>> {
  const { scripts } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    scripts: Record<string, string>;
  };
  return scripts;
}

/** The text of a document without its fenced blocks. */
export function withoutBlocks(markdown: string): string {
  return markdown.replaceAll(/^ *```[^]*?^ *```/gm, '');
}

/** The anchors that GitHub gives to the headings of a document. */
export function anchorsOf(path: string): ReadonlySet<string> {
  const headings = [...withoutBlocks(readFileSync(path, 'utf8')).matchAll(/^#+ (.*)$/gm)];
  return new Set(
    headings.map(([, heading = '']) =>
      heading
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  );
}
