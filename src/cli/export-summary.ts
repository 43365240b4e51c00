import type { ExportSummary } from '../store/export-file.ts';
import type { Style } from './output.ts';
import { table } from './table.ts';

/** How many records of each kind were copied, to be compared on both sides. */
export function summaryTable(summary: ExportSummary, style: Style): string {
  return table(
    Object.entries(summary),
    [
      { title: 'COLLECTION', text: ([name]) => name },
      { title: 'RECORDS', text: ([, { count }]) => String(count) },
      { title: 'DIGEST', text: ([, { digest }]) => digest },
    ],
    style,
  );
}
