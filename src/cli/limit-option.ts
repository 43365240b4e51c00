import { UsageFault } from './define-command.ts';

/**
 * Reads the value of `--limit`: how many to show.
 *
 * @throws UsageFault
 */
export function readLimit(value: string): number {
  const limit = Number(value);
  if (!Number.isInteger(limit) || limit < 1) throw new UsageFault('Give --limit as a whole number, at least 1.');
  return limit;
}
