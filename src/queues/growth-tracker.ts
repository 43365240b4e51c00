import type { AlertLimits } from './decide-alert.ts';
import { baseSample, hasClearlyGrown, mayStillGrow, nextInspectionMs, type Sample } from './predict-growth.ts';

/** Options of {@link createGrowthTracker}. */
export interface GrowthTrackerOptions {
  readonly limits: AlertLimits;
  /** Growth that takes longer to reach a threshold is left to the surveys, in ms. */
  readonly horizonMs: number;
}

/** How queues grow, in the memory of this agent. After a start two surveys are needed to know it. */
export interface GrowthTracker {
  /**
   * Records the depths of a survey, in place of all earlier ones.
   *
   * @returns the queues to inspect before the next survey, and in how many ms
   */
  recordSurvey(depths: Iterable<readonly [queue: string, messages: number]>, seenMs: number): Map<string, number>;
  /**
   * Records the depth of an inspection, which does not count the messages that consumers hold.
   *
   * @returns in how many ms to inspect the queue again, or undefined
   */
  recordInspection(queue: string, messages: number, seenMs: number): number | undefined;
  forget(queue: string): void;
}

/**
 * A queue that has grown is inspected after this, in ms: its rate now differs from the average since the last survey,
 * when it may not have begun to grow.
 */
const FIRST_INSPECTION_MS = 2_000;

/** The number of queues that are tracked; further ones are left to the surveys. */
const MAX_QUEUES = 50_000;

interface Track {
  /** The sample from which the rate is measured; undefined: no rate is known. */
  readonly before: Sample | undefined;
  readonly latest: Sample;
}

/** A tracker that knows no queue yet. */
export function createGrowthTracker({ limits, horizonMs }: GrowthTrackerOptions): GrowthTracker {
  /** Of queues that hold messages; the rest was empty, or missing, at the latest survey. */
  let tracks = new Map<string, Track>();
  let surveyedMs: number | undefined;
  return {
    recordSurvey(depths, seenMs) {
      const next: typeof tracks = new Map();
      const inspections = new Map<string, number>();
      const empty: Sample | undefined = surveyedMs === undefined ? undefined : { messages: 0, seenMs: surveyedMs };
      for (const [queue, messages] of depths) {
        if (messages === 0 || next.size >= MAX_QUEUES) continue;
        const track = tracks.get(queue);
        const earlier = track?.latest ?? empty;
        const latest: Sample = { messages, seenMs };
        const hasGrown = earlier !== undefined && messages > earlier.messages;
        const isGrowing = hasGrown || isBetweenMessages(track, latest);
        const before = isGrowing && earlier !== undefined ? baseSample(track?.before, earlier, latest) : undefined;
        next.set(queue, { before, latest });
        const predictedMs = nextInspectionMs(before, latest, limits, horizonMs);
        const needsRate = hasGrown && hasClearlyGrown(earlier, latest) && messages < limits.deleteAtMessages;
        if (needsRate) inspections.set(queue, Math.min(predictedMs ?? Infinity, FIRST_INSPECTION_MS));
        else if (predictedMs !== undefined) inspections.set(queue, predictedMs);
      }
      tracks = next;
      surveyedMs = seenMs;
      return inspections;
    },
    recordInspection(queue, messages, seenMs) {
      const track = tracks.get(queue);
      const latest: Sample = { messages, seenMs };
      if (track === undefined) {
        if (messages === 0 || tracks.size >= MAX_QUEUES) return undefined;
        tracks.set(queue, { before: undefined, latest });
        return FIRST_INSPECTION_MS;
      }
      // It shrinks, or consumers hold some messages: the next survey shows which.
      if (messages < track.latest.messages || seenMs <= track.latest.seenMs) return undefined;
      const before = baseSample(track.before, track.latest, latest);
      tracks.set(queue, { before, latest });
      return nextInspectionMs(before, latest, limits, horizonMs);
    },
    forget: (queue) => void tracks.delete(queue),
  };
}

/** Whether a growing queue shows an unchanged depth only because its next message is not due yet. */
function isBetweenMessages(track: Track | undefined, next: Sample): boolean {
  if (track?.before === undefined || next.messages !== track.latest.messages) return false;
  return mayStillGrow(track.before, track.latest, next);
}
