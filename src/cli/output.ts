import { inspect } from 'node:util';

/** Where text goes: standard output, standard error, or what stands in for them. */
export interface TextStream {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  /** Of a terminal: heeds NO_COLOR and FORCE_COLOR. */
  hasColors?(count?: number, env?: NodeJS.ProcessEnv): boolean;
}

/** Makes text stand out, on a terminal that can; elsewhere the text stays as it is. */
export interface Style {
  readonly heading: (text: string) => string;
  readonly good: (text: string) => string;
  readonly bad: (text: string) => string;
  readonly doubtful: (text: string) => string;
  readonly quiet: (text: string) => string;
}

/** What a command says. */
export interface Output {
  /** Whether programs read it. */
  readonly json: boolean;
  readonly style: Style;
  /** Says one thing on standard output: `value` as JSON on a line of its own with `--json`, else the text. */
  print(value: unknown, text: (style: Style) => string): void;
  /** Tells who waits what happens, on standard error; with `--json` nobody does. */
  note(text: string): void;
}

/** Output to these streams. */
export function createOutput(stdout: TextStream, stderr: TextStream, env: NodeJS.ProcessEnv, json: boolean): Output {
  const style = createStyle(!json && isColourful(stdout, env));
  return {
    json,
    style,
    print: (value, text) => void stdout.write(`${json ? JSON.stringify(value) : text(style)}\n`),
    note(text) {
      if (!json) stderr.write(`${text}\n`);
    },
  };
}

/** Whether colours are shown: on a terminal that has them, unless NO_COLOR asks for none. */
export function isColourful(stream: TextStream, env: NodeJS.ProcessEnv): boolean {
  if (env['NO_COLOR'] || stream.isTTY !== true) return false;
  return stream.hasColors?.(16, env) ?? false;
}

function createStyle(colourful: boolean): Style {
  // The codes that Node itself uses. Its styleText looks at the process's own standard output, which need not be meant.
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
