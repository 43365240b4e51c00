import type { AlertLimits } from './decide-alert.ts';
import { baseOf, isClearlyMore, isTooSoonToTell, nextInspectionMs, type Sample } from './predict-growth.ts';

/** What {@link createGrowth} works with. */
export interface GrowthParts {
  readonly limits: AlertLimits;
  /** What would take longer is left to the surveys, in ms. */
  readonly horizonMs: number;
}

/** How queues grow, as far as this agent has seen. It forgets when the agent ends: two surveys later it knows again. */
export interface Growth {
  /**
   * Takes what a survey saw, in place of everything before.
   *
   * @returns which queues should be looked at before the next survey, and in how many ms
   */
  takeSurvey(depths: Iterable<readonly [queue: string, messages: number]>, seenMs: number): Map<string, number>;
  /**
   * Takes what a look at one queue saw, where messages that consumers hold are not counted.
   *
   * @returns in how many ms it should be looked at again, or undefined
   */
  takeLook(queue: string, messages: number, seenMs: number): number | undefined;
  forget(queue: string): void;
}

/**
 * What has grown is looked at once more so soon, in ms: its rate now is another than the one since the last survey, which
 * may be long ago and from before it began to grow.
 */
const SECOND_LOOK_MS = 2_000;

/** So many queues are followed; the others are left to the surveys. */
const MOST_QUEUES = 50_000;

interface Known {
  /** What the rate is measured from; undefined: it has none. */
  readonly before: Sample | undefined;
  readonly latest: Sample;
}

/** Starts without knowledge. */
export function createGrowth({ limits, horizonMs }: GrowthParts): Growth {
  /** Of queues that hold something; the others were empty at the latest survey, or not there. */
  let samples = new Map<string, Known>();
  let surveyedMs: number | undefined;
  return {
    takeSurvey(depths, seenMs) {
      const taken: typeof samples = new Map();
      const looks = new Map<string, number>();
      const empty: Sample | undefined = surveyedMs === undefined ? undefined : { messages: 0, seenMs: surveyedMs };
      for (const [queue, messages] of depths) {
        if (messages === 0 || taken.size >= MOST_QUEUES) continue;
        const known = samples.get(queue);
        const earlier = known?.latest ?? empty;
        const latest: Sample = { messages, seenMs };
        const hasGrown = earlier !== undefined && messages > earlier.messages;
        const goesOn = hasGrown || isUnchanged(known, latest);
        const before = goesOn && earlier !== undefined ? baseOf(known?.before, earlier, latest) : undefined;
        taken.set(queue, { before, latest });
        const pauseMs = nextInspectionMs(before, latest, limits, horizonMs);
        const isGrowing = hasGrown && isClearlyMore(earlier, latest) && messages < limits.deleteAtMessages;
        if (isGrowing) looks.set(queue, Math.min(pauseMs ?? Infinity, SECOND_LOOK_MS));
        else if (pauseMs !== undefined) looks.set(queue, pauseMs);
      }
      samples = taken;
      surveyedMs = seenMs;
      return looks;
    },
    takeLook(queue, messages, seenMs) {
      const known = samples.get(queue);
      const latest: Sample = { messages, seenMs };
      if (known === undefined) {
        if (messages === 0 || samples.size >= MOST_QUEUES) return undefined;
        samples.set(queue, { before: undefined, latest });
        return SECOND_LOOK_MS;
      }
      // It shrinks, or consumers hold some: the next survey shows which.
      if (messages < known.latest.messages || seenMs <= known.latest.seenMs) return undefined;
      const before = baseOf(known.before, known.latest, latest);
      samples.set(queue, { before, latest });
      return nextInspectionMs(before, latest, limits, horizonMs);
    },
    forget: (queue) => void samples.delete(queue),
  };
}

/** Whether a queue that grew shows the depth of a moment ago, so that it may grow all the same. */
function isUnchanged(known: Known | undefined, next: Sample): boolean {
  if (known?.before === undefined || next.messages !== known.latest.messages) return false;
  return isTooSoonToTell(known.before, known.latest, next);
}
