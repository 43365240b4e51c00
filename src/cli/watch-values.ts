import { setTimeout as delay } from 'node:timers/promises';
import { formatInstant } from '../contract/fields.ts';
import { type CommandContext, UsageFault } from './define-command.ts';
import { explainError } from './explain-error.ts';
import type { Style } from './output.ts';
import type { Screen } from './screen.ts';
import { parseDuration } from './time-options.ts';

/** The option of commands that can show the same again and again. */
export const WATCH_FLAG = '--watch [interval]';

const DEFAULT_INTERVAL_MS = 5_000;
const MIN_INTERVAL_MS = 1_000;

/**
 * The value of `--watch`, in ms; undefined without the option.
 *
 * @throws UsageFault
 */
export function watchIntervalMs(value: string | true | undefined): number | undefined {
  if (value === undefined) return undefined;
  const intervalMs = value === true ? DEFAULT_INTERVAL_MS : parseDuration(value);
  if (intervalMs === undefined || intervalMs < MIN_INTERVAL_MS) {
    throw new UsageFault('Give --watch alone, or with an interval such as 10s, at least 1s.');
  }
  return intervalMs;
}

/** Something that differs from the value before. */
export interface ValueChange {
  /** For `--json`: one document. */
  readonly value: unknown;
  /** One line. */
  readonly text: (style: Style) => string;
}

/** A value that is read again and again. */
export interface WatchedValue<T> {
  readonly intervalMs: number;
  read(signal: AbortSignal): Promise<T>;
  /** The whole value, for people. */
  text(value: T, style: Style): string;
  /** What differs from the value before; undefined: everything, for `--json`. */
  changes(before: T | undefined, value: T): readonly ValueChange[];
}

/**
 * Shows a value until the signal is aborted: on a terminal always the whole, redrawn in place; elsewhere first the whole,
 * then what changes, a line for each. A reading that fails later is shown, and the next one follows.
 *
 * @throws what the first reading throws
 */
export async function watchValue<T>(
  { output, signal }: Pick<CommandContext, 'output' | 'signal'>,
  watched: WatchedValue<T>,
): Promise<void> {
  const first = await watched.read(signal);
  const screen = output.screen();
  const show = screen === undefined ? printing(output, watched) : drawing(screen, output.style, watched);
  try {
    show.value(first);
    while (!signal.aborted) {
      await delay(watched.intervalMs, undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return;
      try {
        show.value(await watched.read(signal));
      } catch (error) {
        if (signal.aborted) return;
        show.failure(explainError(error).sentences.join(' '));
      }
    }
  } finally {
    show.close();
  }
}

interface Shown<T> {
  value(value: T): void;
  failure(sentence: string): void;
  close(): void;
}

function drawing<T>(screen: Screen, style: Style, watched: WatchedValue<T>): Shown<T> {
  let latest = '';
  let seenMs = Date.now();
  return {
    value(value) {
      seenMs = Date.now();
      latest = watched.text(value, style);
      screen.draw(
        `${latest}\n\n${style.quiet(`${formatInstant(seenMs)}, every ${watched.intervalMs / 1000} s; Ctrl-C stops`)}`,
      );
    },
    failure(sentence) {
      screen.draw(`${latest}\n\n${style.bad(`as of ${formatInstant(seenMs)}: ${sentence}`)}`);
    },
    close: () => screen.close(),
  };
}

function printing<T>(output: CommandContext['output'], watched: WatchedValue<T>): Shown<T> {
  let before: T | undefined;
  let failing = '';
  return {
    value(value) {
      if (failing !== '') output.note('It works again.');
      failing = '';
      if (before === undefined && !output.json) output.print(value, (style) => watched.text(value, style));
      else for (const { value: changed, text } of watched.changes(before, value)) output.print(changed, text);
      before = value;
    },
    failure(sentence) {
      if (sentence !== failing) output.note(sentence);
      failing = sentence;
    },
    close: () => undefined,
  };
}
