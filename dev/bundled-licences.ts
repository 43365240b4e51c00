import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Metafile } from 'esbuild';
import { WORKING_COPY } from './working-copy.ts';

const LICENCES = 'licences.txt';
const RULE = `\n\n${'-'.repeat(80)}\n\n`;
/** The licence section of a README, up to the next heading. */
const LICENCE_SECTION = /^(?:#+ *\(?(?:the )?(?:\w+ )?licen[cs]e\b|licen[cs]e\n[-=]+$)(?:(?!\n#)[^])*/im;

/** Writes `licences.txt` beside a bundle: the licences of the packages in it, and the addresses of their sources. */
export function writeLicences(folder: string, what: string, { inputs }: Pick<Metafile, 'inputs'>): void {
  const folders = new Set<string>();
  for (const file of Object.keys(inputs)) {
    const found = /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file)?.[0];
    if (found !== undefined) folders.add(join(WORKING_COPY, found));
  }
  const text = [`${what} contains these packages.`, ...[...folders].toSorted().map(licenceOf)].join(RULE);
  writeFileSync(join(folder, LICENCES), `${text}\n`);
}

interface Package {
  readonly name: string;
  readonly version: string;
  readonly license?: string;
  readonly author?: string | { readonly name: string };
  readonly repository?: string | { readonly url: string };
}

function licenceOf(folder: string): string {
  const text = readFileSync(join(folder, 'package.json'), 'utf8');
  const { name, version, license = 'see below', author, repository } = JSON.parse(text) as Package;
  const address = typeof repository === 'object' ? repository.url : repository;
  const heading = [`${name} ${version} (${license})`, ...(address === undefined ? [] : [`Sources: ${address}`])];
  const files = readdirSync(folder);
  const read = (file: string): string => readFileSync(join(folder, file), 'utf8').trim();
  const notices = files.filter((file) => /^(?:licen[cs]e|notice|copying)/i.test(file)).map(read);
  if (notices.length === 0) {
    const sections = files.filter((file) => /^readme/i.test(file)).map((file) => LICENCE_SECTION.exec(read(file))?.[0]);
    notices.push(...sections.filter((section) => section !== undefined));
  }
  const by = typeof author === 'object' ? author.name : author;
  if (notices.length === 0 && by !== undefined) notices.push(`By ${by}.`);
  return [heading.join('\n'), ...notices].join('\n\n');
}
