import { closeSync, existsSync, openSync, readFileSync, readSync, statSync } from 'node:fs';
import type { RunContext } from './run-context.ts';
import type { SecretScan } from './secret-scan.ts';
import type { SoakAgent } from './soak-agent.ts';
import { pause } from './pause.ts';

const EVERY_MS = 1_000;
const MAX_READ_BYTES = 2 ** 24;

const ERRORS = ['error', 'fatal'];
const TROUBLE = [...ERRORS, 'warn'];

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
        const { level, code } = ERRORS.some((name) => line.includes(name)) ? parseLine(line) : NOTHING;
        if (ERRORS.includes(level)) figures.count(`logged: ${code}`);
      }
    }
  };
  while (!signal.aborted) {
    readAll();
    await pause(EVERY_MS, signal);
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

interface ParsedLine {
  readonly level: string;
  readonly code: string;
  readonly atMs: number;
}

/** What Node itself prints, for example before it exits. */
const NOTHING: ParsedLine = { level: '', code: '', atMs: Number.NaN };

function parseLine(line: string): ParsedLine {
  try {
    const { level = '', code = '', time = '' } = JSON.parse(line) as Partial<Record<string, string>>;
    return { level, code, atMs: Date.parse(time) };
  } catch {
    return NOTHING;
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
      return TROUBLE.includes(level) && Math.abs(loggedMs - atMs) < aroundMs;
    });
  return lines.slice(-MAX_LINES);
}
