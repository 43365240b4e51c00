import type { Style } from './output.ts';

/** A column of a table. */
export interface Column<Row> {
  readonly title: string;
  readonly text: (row: Row) => string;
  /** Formats the padded cell. */
  readonly style?: (cell: string, row: Row) => string;
}

/** A table with a line of titles. Control characters in cells are printed as escapes. */
export function table<Row>(rows: readonly Row[], columns: readonly Column<Row>[], style: Style): string {
  const cells = rows.map((row) => columns.map(({ text }) => printable(text(row))));
  const widths = columns.map(({ title }, index) =>
    Math.max(width(title), ...cells.map((line) => width(line[index] ?? ''))),
  );
  const line = (texts: readonly string[], format: (cell: string, index: number) => string): string =>
    texts
      .map((cell, index) => {
        const isLast = index === texts.length - 1;
        return format(isLast ? cell : cell + ' '.repeat((widths[index] ?? 0) - width(cell)), index);
      })
      .join('  ')
      .trimEnd();
  return [
    line(
      columns.map(({ title }) => title),
      (cell) => style.heading(cell),
    ),
    ...rows.map((row, at) => line(cells[at] ?? [], (cell, index) => columns[index]?.style?.(cell, row) ?? cell)),
  ].join('\n');
}

/**
 * The text with control characters as escapes: a client chooses the names on the broker, and could otherwise control the
 * terminal.
 */
export function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (found) => {
    return `\\u{${found.codePointAt(0)?.toString(16)}}`;
  });
}

function width(text: string): number {
  return Array.from(text).length;
}
