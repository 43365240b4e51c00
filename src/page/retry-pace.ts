/** How long the page waits before it asks again, in ms. */
export function pauseBefore(failures: number, everyMs: number): number {
  return failures === 0 ? everyMs : Math.min(1000 * 2 ** (failures - 1), 15_000);
}
