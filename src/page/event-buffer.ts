/** The newest events that the page keeps, and the texts of a stream cut into lines. */

/** An event as the page keeps it. */
export interface BufferedEvent {
  readonly id: string;
  readonly type: string;
}

/** The newest events, the newest first. */
export interface EventBuffer<E extends BufferedEvent = BufferedEvent> {
  readonly events: readonly E[];
  /** How many arrived, those included that are not kept any more. */
  readonly arrived: number;
}

/** The most events that are kept. */
export const MAX_EVENTS = 1000;

/** The buffer with events that arrived in this order. One that is there already, after a reconnect, is not added again. */
export function appendEvents<E extends BufferedEvent>(
  buffer: EventBuffer<E>,
  arrived: readonly E[],
  max: number = MAX_EVENTS,
): EventBuffer<E> {
  const known = new Set(buffer.events.map(({ id }) => id));
  const added: E[] = [];
  for (const event of arrived) {
    if (known.has(event.id)) continue;
    known.add(event.id);
    added.push(event);
  }
  if (added.length === 0) return buffer;
  return {
    events: [...added.toReversed(), ...buffer.events].slice(0, max),
    arrived: buffer.arrived + added.length,
  };
}

/** The complete lines of a text that arrives in pieces, and the rest, which belongs before the next piece. */
export function completeLines(rest: string, piece: string): { readonly lines: string[]; readonly rest: string } {
  const lines = (rest + piece).split('\n');
  const last = lines.pop() ?? '';
  return { lines: lines.filter((line) => line.trim() !== ''), rest: last };
}

/** Which rows of a long list are drawn: those in sight, and some before and after them. */
export function visibleRows(
  scrollTop: number,
  viewHeight: number,
  rowHeight: number,
  count: number,
): { readonly from: number; readonly until: number } {
  const OVERSCAN = 8;
  const from = Math.min(Math.max(0, Math.floor(scrollTop / rowHeight) - OVERSCAN), Math.max(0, count - 1));
  return { from, until: Math.min(count, Math.ceil((scrollTop + viewHeight) / rowHeight) + OVERSCAN) };
}
