/** Made-up amounts: the same for the same number and time, so that pages, orders and histories agree. */

/** A number from 0 to 1 that looks random. */
export function noise(seed: number): number {
  let value = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b);
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35);
  return ((value ^ (value >>> 16)) >>> 0) / 2 ** 32;
}

/** The depth of the queue with this number. Most are empty, some swing, a few grow until they are deleted. */
export function depthAt(queue: number, atMs: number): number {
  const kind = noise(queue);
  const minutes = atMs / 60_000;
  if (kind < 0.55) return 0;
  if (kind < 0.9)
    return Math.round(60 * noise(queue + 7) * (1.2 + Math.sin(minutes / (9 + 20 * noise(queue + 3)) + queue)));
  if (kind < 0.985)
    return Math.round(900 * noise(queue + 1) * (1.1 + Math.sin(minutes / (30 + 60 * noise(queue + 5)) + queue)));
  // From empty to the threshold in two to six hours, again and again.
  const period = 120 + 240 * noise(queue + 2);
  const share = ((minutes + period * noise(queue + 4)) % period) / period;
  return Math.round(8000 * share * (0.96 + 0.04 * Math.sin(minutes / 7)));
}

/** How much the depth grows in a minute. */
export function growthAt(queue: number, atMs: number): number {
  return (depthAt(queue, atMs) - depthAt(queue, atMs - 120_000)) / 2;
}
