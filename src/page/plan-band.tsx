import type { JSX } from 'preact';
import type { PlanAnswer } from '../operator-api/schemas.ts';
import { timeTicks } from './chart-geometry.ts';
import { localTime } from './page-formats.ts';
import { planMarks } from './plan-steps.ts';

/** The hours of a plan as a band with a mark for each step. The list below it says the same in words. */
export function PlanBand({ plan }: { readonly plan: PlanAnswer }): JSX.Element {
  const [fromMs, untilMs] = [Date.parse(plan.at), Date.parse(plan.until)];
  const zoneOffsetMs = -new Date(fromMs).getTimezoneOffset() * 60_000;
  const placeOf = (atMs: number): number => ((atMs - fromMs) / Math.max(1, untilMs - fromMs)) * 100;
  return (
    <div class="plan-band" aria-hidden="true">
      {timeTicks(fromMs, untilMs, zoneOffsetMs).map((atMs) => (
        <span key={atMs} class="band-tick" style={{ left: `${placeOf(atMs)}%` }}>
          {localTime(atMs, fromMs, 'minute').slice(-5)}
        </span>
      ))}
      {planMarks(plan.steps, fromMs, untilMs).map(({ place, tone, count }) => (
        <span
          key={`${tone}${place}`}
          class={`band-mark ${tone}${count > 10 ? ' many' : ''}`}
          style={{ left: `${place * 100}%` }}
        />
      ))}
    </div>
  );
}
