/** The count with its noun, which takes an `s` beside every other number than one: `1 queue`, `2 queues`. */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
