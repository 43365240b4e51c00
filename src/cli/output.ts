import { inspect } from 'node:util';
import { createScreen, type Screen } from './screen.ts';

/** Standard output, standard error, or a stand-in. */
export interface TextStream {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  /** The lines of a terminal. */
  readonly rows?: number;
  /** On a terminal: respects NO_COLOR and FORCE_COLOR. */
  hasColors?(count?: number, env?: NodeJS.ProcessEnv): boolean;
}

/** Formats text on a terminal with colours; elsewhere the text stays as it is. */
export interface Style {
  readonly heading: (text: string) => string;
  readonly good: (text: string) => string;
  readonly bad: (text: string) => string;
  readonly doubtful: (text: string) => string;
  readonly quiet: (text: string) => string;
}

/** Where a command prints. */
export interface Output {
  /** Whether `--json` was given. */
  readonly json: boolean;
  readonly style: Style;
  /** Prints one result to standard output: with `--json` the value as one line of JSON, else the text. */
  print(value: unknown, text: (style: Style) => string): void;
  /** A screen that is drawn again and again; undefined with `--json`, and where standard output is no terminal. */
  screen(): Screen | undefined;
  /** Prints progress to standard error; not with `--json`. */
  note(text: string): void;
}

export function createOutput(stdout: TextStream, stderr: TextStream, env: NodeJS.ProcessEnv, json: boolean): Output {
  const style = createStyle(!json && isColourful(stdout, env));
  return {
    json,
    style,
    print: (value, text) => void stdout.write(`${json ? JSON.stringify(value) : text(style)}\n`),
    screen: () => (json || stdout.isTTY !== true ? undefined : createScreen(stdout)),
    note(text) {
      if (!json) stderr.write(`${text}\n`);
    },
  };
}

/** Whether the stream is a terminal with colours, and NO_COLOR is not set. */
export function isColourful(stream: TextStream, env: NodeJS.ProcessEnv): boolean {
  if (env['NO_COLOR'] || stream.isTTY !== true) return false;
  return stream.hasColors?.(16, env) ?? false;
}

function createStyle(colourful: boolean): Style {
  // Node's own escape codes. Its styleText would inspect the standard output of the process, not this stream.
  const styled = (format: 'bold' | 'green' | 'red' | 'yellow' | 'dim') => {
    const [on, off] = inspect.colors[format] ?? [0, 0];
    return (text: string): string => (colourful ? `\u001b[${on}m${text}\u001b[${off}m` : text);
  };
  return {
    heading: styled('bold'),
    good: styled('green'),
    bad: styled('red'),
    doubtful: styled('yellow'),
    quiet: styled('dim'),
  };
}
