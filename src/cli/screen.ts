import type { TextStream } from './text-stream.ts';

/** A terminal on which each text replaces the one before. */
export interface Screen {
  draw(text: string): void;
  /** Gives the terminal back; the latest text stays in it. */
  close(): void;
}

const ESCAPE = '\u001b';
/** The alternate screen, without cursor; what is wider than the terminal is cut. */
const ENTER = `${ESCAPE}[?1049h${ESCAPE}[?25l${ESCAPE}[?7l`;
const LEAVE = `${ESCAPE}[?7h${ESCAPE}[?25h${ESCAPE}[?1049l`;
/** Between these a terminal shows nothing new, if it knows them. */
const BEGIN = `${ESCAPE}[?2026h${ESCAPE}[H`;
const END = `${ESCAPE}[J${ESCAPE}[?2026l`;
const CLEAR_REST_OF_LINE = `${ESCAPE}[K`;

/** Draws over what is there, with one write for each text: nothing flickers. */
export function openScreen(stdout: TextStream): Screen {
  let latest = '';
  let isOpen = true;
  const leave = (): void => {
    if (!isOpen) return;
    isOpen = false;
    stdout.write(LEAVE);
  };
  // Also where a second signal ends the process.
  process.once('exit', leave);
  stdout.write(ENTER);
  return {
    draw(text) {
      latest = text;
      const lines = fittingLines(text, stdout.rows);
      stdout.write(`${BEGIN}${lines.join(`${CLEAR_REST_OF_LINE}\r\n`)}${CLEAR_REST_OF_LINE}${END}`);
    },
    close() {
      process.removeListener('exit', leave);
      leave();
      if (latest !== '') stdout.write(`${latest}\n`);
    },
  };
}

/** The lines that fit into this many rows; the last one then says how many do not. */
function fittingLines(text: string, rows: number | undefined): string[] {
  const lines = text.split('\n');
  if (rows === undefined || rows < 1 || lines.length <= rows) return lines;
  return [...lines.slice(0, rows - 1), `… ${lines.length - rows + 1} more lines`];
}
