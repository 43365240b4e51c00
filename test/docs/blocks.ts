import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';

/** A fenced block of a document. */
export interface Block {
  /** The document's path in the working copy and the line of the fence, as in `README.md:12`. */
  readonly place: string;
  /** The heading above it. */
  readonly heading: string;
  /** The word after the fence: `sh`, `js`, …; empty without one. */
  readonly language: string;
  readonly text: string;
}

/** The blocks of a document, each of which a test takes once. */
export interface Blocks {
  /**
   * Returns the one block that contains this text and that no test has taken; it counts as run from then on.
   *
   * @param replace placeholders in it, and what the test puts there
   */
  take(containing: string, replace?: Readonly<Record<string, string>>): Block;
  /** As {@link take}, for a block that no test can run. The reason is for the reader of the test. */
  leave(containing: string, reason: string): Block;
}

/** The output of a block of shell. */
export interface BlockRun {
  readonly stdout: string;
  readonly stderr: string;
}

/** The fenced blocks of a document, in order. */
export function blocksOf(path: string): Block[] {
  const blocks: Block[] = [];
  let heading = '';
  let open: { fence: string; language: string; line: number; lines: string[] } | undefined;
  for (const [index, line] of readFileSync(resolve(path), 'utf8').split('\n').entries()) {
    const fence = /^ *(```+)(.*)$/.exec(line);
    if (open !== undefined) {
      if (fence?.[1] === open.fence && fence[2]?.trim() === '') {
        const { language, lines } = open;
        blocks.push({ place: `${path}:${open.line}`, heading, language, text: `${lines.join('\n')}\n` });
        open = undefined;
      } else open.lines.push(line);
    } else if (fence !== null) {
      open = { fence: fence[1] ?? '', language: fence[2]?.trim() ?? '', line: index + 1, lines: [] };
    } else heading = /^#+ (.*)$/.exec(line)?.[1] ?? heading;
  }
  assert.equal(open, undefined, `${path}: a fence that is not closed`);
  return blocks;
}

/** The fenced blocks of a document without diagrams, which test/docs/mermaid.test.ts parses. */
export function runnableBlocksOf(path: string): Block[] {
  return blocksOf(path).filter(({ language }) => language !== 'mermaid');
}

/**
 * For use in a `describe`: the blocks of a document. After its tests it fails for each block that none of them took, so
 * that every block that is added to the document gets a test.
 *
 * @example
 * const readme = useBlocks('README.md');
 * it('claims', async () => {
 *   const { stdout } = await runShell(readme.take('pulse-agent claim'), { env });
 * });
 */
export function useBlocks(path: string): Blocks {
  const left = new Set(runnableBlocksOf(path));
  after(`every block of ${path} is run by a test`, function () {
    // With a part of the tests alone there are always some.
    const all = this.test?.parent?.tests ?? [];
    if (all.some(({ state }) => state === undefined)) return;
    assert.deepEqual(
      [...left].map(({ place }) => place),
      [],
      'these blocks are run by no test',
    );
  });
  const take: Blocks['take'] = (containing, replace = {}) => {
    const found = [...left].filter(({ text }) => text.includes(containing));
    assert.equal(found.length, 1, `${found.length} blocks of ${path} hold "${containing}"`);
    const [block] = found as [Block];
    left.delete(block);
    let { text } = block;
    for (const [from, to] of Object.entries(replace)) {
      assert.ok(text.includes(from), `${block.place} does not hold "${from}"`);
      text = text.replaceAll(from, () => to);
    }
    return { ...block, text };
  };
  return { take, leave: (containing) => take(containing) };
}

/** The time-out of a block, in ms. */
const PATIENCE_MS = 120_000;

/**
 * Runs a block as a shell does, in the working copy by default, and stops at the first command that fails.
 *
 * @throws AssertionError with what it printed when it fails.
 */
export async function runShell(
  block: Block,
  {
    env,
    cwd,
    patienceMs = PATIENCE_MS,
  }: { readonly env?: Readonly<Record<string, string>>; readonly cwd?: string; readonly patienceMs?: number } = {},
): Promise<BlockRun> {
  const child = spawn('bash', ['-euo', 'pipefail', '-c', block.text], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
    ...(cwd === undefined ? {} : { cwd }),
    detached: true,
  });
  // All of its group: a command that hangs keeps the output open after its shell was killed.
  const timer = setTimeout(() => void (child.pid !== undefined && process.kill(-child.pid, 'SIGKILL')), patienceMs);
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const exit = await new Promise((settle, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => settle(code ?? signal));
  }).finally(() => clearTimeout(timer));
  assert.equal(exit, 0, `${block.place} exited with ${String(exit)}:\n${stdout}${stderr}`);
  return { stdout, stderr };
}
