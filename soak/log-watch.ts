import { closeSync, existsSync, openSync, readFileSync, readSync, statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RunContext } from './run-context.ts';
import type { SecretScan } from './secret-scan.ts';
import type { SoakAgent } from './soak-agent.ts';

const EVERY_MS = 1_000;
const MAX_READ_BYTES = 2 ** 24;

/** Error lines of pino begin at this level. */
const ERROR_LEVEL = 50;

/** Reads the logs of the agents as they grow: no secret may be in them. It counts what agents log as errors, by code. */
export async function watchLogs(
  { world, figures }: Pick<RunContext, 'world' | 'figures'>,
  scan: SecretScan,
  signal: AbortSignal,
): Promise<void> {
  const readers = world.agents.map((agent) => createReader(agent));
  const readAll = (): void => {
    for (const reader of readers) {
      const text = reader.read();
      if (text === '') continue;
      scan.check(text, `The log of ${reader.agent.name}`);
      for (const line of text.split('\n')) {
        if (!/"level":(?:5|6)0/.test(line)) continue;
        const { level, code } = parseLine(line);
        if (level >= ERROR_LEVEL) figures.count(`logged: ${code}`);
      }
    }
  };
  while (!signal.aborted) {
    readAll();
    await sleep(EVERY_MS, undefined, { signal }).catch(() => undefined);
  }
  readAll();
}

function createReader(agent: SoakAgent): { readonly agent: SoakAgent; read(): string } {
  let offset = 0;
  return {
    agent,
    read() {
      if (!existsSync(agent.logFile)) return '';
      const length = Math.min(statSync(agent.logFile).size - offset, MAX_READ_BYTES);
      if (length <= 0) return '';
      const file = openSync(agent.logFile, 'r');
      try {
        const bytes = Buffer.alloc(length);
        const text = bytes.subarray(0, readSync(file, bytes, 0, length, offset)).toString();
        // The last line may not be written to its end yet.
        const end = text.lastIndexOf('\n') + 1;
        offset += Buffer.byteLength(text.slice(0, end));
        return text.slice(0, end);
      } finally {
        closeSync(file);
      }
    },
  };
}

function parseLine(line: string): { readonly level: number; readonly code: string; readonly atMs: number } {
  try {
    const { level = 0, code = 'no code', time = 0 } = JSON.parse(line) as Record<string, number | string | undefined>;
    return { level: Number(level), code: String(code), atMs: new Date(time).getTime() };
  } catch {
    // What Node itself prints, for example before it exits.
    return { level: 0, code: '', atMs: Number.NaN };
  }
}

/** The most lines that are shown of one log. */
const MAX_LINES = 60;

/**
 * What an agent logged around an instant: the lines about these texts, and warnings and errors. The clock of the agent may
 * be off by some seconds.
 */
export function logAround(logFile: string, atMs: number, about: readonly string[], aroundMs: number): string[] {
  if (!existsSync(logFile)) return [];
  const lines = readFileSync(logFile, 'utf8')
    .split('\n')
    .filter((line) => {
      const { level, atMs: loggedMs } = parseLine(line);
      if (Number.isNaN(loggedMs)) return false;
      const isAbout = about.some((text) => line.includes(text));
      // What belongs to the subject may be older: the promise was given minutes ago.
      if (isAbout) return loggedMs > atMs - 20 * aroundMs && loggedMs < atMs + aroundMs;
      return level >= 40 && Math.abs(loggedMs - atMs) < aroundMs;
    });
  return lines.slice(-MAX_LINES);
}
