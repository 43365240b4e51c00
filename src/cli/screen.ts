/** A terminal that shows one text at a time. */
export interface Screen {
  /** Shows the text in place of the previous one. What does not fit is cut off. */
  draw(text: string): void;
  /** Leaves the last text, with the cursor below it. */
  close(): void;
}

/** The terminal, or a stand-in. */
interface ScreenStream {
  write(text: string): unknown;
  /** 0 where the terminal does not say. */
  readonly rows?: number;
}

const DEFAULT_ROWS = 24;

const [HIDE_CURSOR, SHOW_CURSOR] = ['\u001b[?25l', '\u001b[?25h'];
const [NO_WRAP, WRAP] = ['\u001b[?7l', '\u001b[?7h'];
/** Terminals that know it show all between them at one time; others ignore it. */
const [BEGIN_UPDATE, END_UPDATE] = ['\u001b[?2026h', '\u001b[?2026l'];
const CLEAR = '\u001b[2J';
const HOME = '\u001b[H';
const ERASE_LINE = '\u001b[K';
const ERASE_BELOW = '\u001b[J';

/**
 * A screen on a terminal. It writes over the previous text and erases only what is left of it, in one write: a cleared screen
 * would flicker.
 */
export function createScreen(stream: ScreenStream): Screen {
  let isOpen = false;
  return {
    draw(text) {
      const lines = text.split('\n');
      // The last line stays free: a line end there would scroll.
      const room = Math.max(2, (stream.rows || DEFAULT_ROWS) - 1);
      const shown =
        lines.length <= room ? lines : [...lines.slice(0, room - 1), `… ${lines.length - room + 1} more lines`];
      const drawn = shown.map((line) => `${line}${ERASE_LINE}\n`).join('');
      const start = isOpen ? '' : `${HIDE_CURSOR}${CLEAR}`;
      isOpen = true;
      stream.write(`${BEGIN_UPDATE}${start}${HOME}${NO_WRAP}${drawn}${WRAP}${ERASE_BELOW}${END_UPDATE}`);
    },
    close() {
      if (isOpen) stream.write(SHOW_CURSOR);
      isOpen = false;
    },
  };
}
