const UNITS = ['KiB', 'MiB', 'GiB', 'TiB'];

/** A size in the largest unit that leaves at least 1: `512 bytes`, `1.5 MiB`. */
export function bytesText(bytes: number): string {
  if (Math.abs(bytes) < 1024) return `${Math.round(bytes)} bytes`;
  let amount = bytes;
  let unit = '';
  for (const next of UNITS) {
    if (Math.abs(amount) < 1024) break;
    amount /= 1024;
    unit = next;
  }
  return `${Number(amount.toFixed(1))} ${unit}`;
}

/** An instant to the second, in UTC. */
export function instantToSecond(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 'YYYY-MM-DDTHH:MM:SS'.length)}Z`;
}
