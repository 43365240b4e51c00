import { createObservable, useObservable } from './observable-value.ts';

/** The agent's time, in ms since the epoch, each second. The viewer's clock may be off; the agent's decides. */
const now = createObservable(Date.now());
let offsetMs = 0;

/** Only an offset beyond this, in ms, is corrected: answers say their time to the second, and take a moment. */
const TOLERANCE_MS = 5_000;

export function startPageClock(): void {
  setInterval(tick, 1000);
  document.addEventListener('visibilitychange', tick);
}

function tick(): void {
  if (!document.hidden) now.set(Date.now() + offsetMs);
}

/** Notes the time that an answer of the agent says. */
export function noteAgentTime(date: string | null): void {
  const atMs = Date.parse(date ?? '');
  if (Number.isNaN(atMs)) return;
  const differenceMs = atMs - Date.now();
  offsetMs = Math.abs(differenceMs) > TOLERANCE_MS ? differenceMs : 0;
}

/** A text about now, such as `4 min ago`. The component is drawn again only when it reads differently. */
export function useTextAt(text: (nowMs: number) => string): string {
  return useObservable(now, text);
}

/** The agent's time now. */
export function agentNowMs(): number {
  return Date.now() + offsetMs;
}
