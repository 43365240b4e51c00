import type { Growth } from './forecast-queue.ts';
import type { QueueLimits } from './queue-limits.ts';
import {
  baseSample,
  type GrowthLimits,
  hasClearlyGrown,
  mayStillGrow,
  nextInspectionMs,
  type Sample,
} from './predict-growth.ts';

/** Options of {@link createGrowthTracker}. */
export interface GrowthTrackerOptions {
  readonly limitsOf: (queue: string) => GrowthLimits;
  /** Growth that takes longer to reach a threshold is left to the surveys, in ms. */
  readonly horizonMs: number;
  /** What a survey finds was true at most this long before, in ms; 0 when absent. An inspection is current. */
  readonly surveyLagMs?: number;
}

/** How queues grow, in the memory of this agent. After a start two surveys are needed to know it. */
export interface GrowthTracker {
  /**
   * Records what a survey found, in messages or bytes, in place of all that was recorded earlier. What an inspection found
   * stays where the survey may be older and found less.
   *
   * @param amounts may leave out empty queues
   * @returns the queues to inspect before the next survey, and in how many ms
   */
  recordSurvey(amounts: Iterable<readonly [queue: string, amount: number]>, seenMs: number): Map<string, number>;
  /**
   * Records what an inspection found. It does not count the messages that consumers hold.
   *
   * @returns in how many ms to inspect the queue again, or undefined
   */
  recordInspection(queue: string, amount: number, seenMs: number): number | undefined;
  /** How a queue grows; undefined where nothing is known of it. Without an earlier sample its rate is unknown. */
  growthOf(queue: string): Growth | undefined;
  forget(queue: string): void;
}

/** The number of queues that are tracked; further ones are left to the surveys. */
const MAX_QUEUES = 50_000;

interface Track {
  /** The sample from which the rate is measured; undefined: no rate is known. */
  readonly before: Sample | undefined;
  readonly latest: Sample;
  /** Whether `latest` is of an inspection, which is current, and not of a survey, which may lag behind. */
  readonly isInspected: boolean;
}

/** How the depth of a queue is predicted: samples are fresh, and one message is the least. */
export function messageGrowthLimits({
  warnAtMessages,
  deleteAtMessages,
}: Pick<QueueLimits, 'warnAtMessages' | 'deleteAtMessages'>): GrowthLimits {
  return { thresholds: [warnAtMessages, deleteAtMessages], noise: 20, step: 1, firstInspectionMs: 2_000 };
}

/** A tracker that knows no queue yet. */
export function createGrowthTracker({ limitsOf, horizonMs, surveyLagMs = 0 }: GrowthTrackerOptions): GrowthTracker {
  /** Of queues that hold messages; the rest was empty, or missing, at the latest survey. */
  let tracks = new Map<string, Track>();
  let surveyedMs: number | undefined;
  return {
    recordSurvey(amounts, seenMs) {
      const next: typeof tracks = new Map();
      const inspections = new Map<string, number>();
      const empty: Sample | undefined = surveyedMs === undefined ? undefined : { amount: 0, seenMs: surveyedMs };
      const isNewer = ({ isInspected, latest }: Track): boolean => isInspected && latest.seenMs > seenMs - surveyLagMs;
      for (const [queue, amount] of amounts) {
        const track = tracks.get(queue);
        if (track !== undefined && isNewer(track) && track.latest.amount > amount) {
          next.set(queue, track);
          continue;
        }
        if (amount === 0 || next.size >= MAX_QUEUES) continue;
        const limits = limitsOf(queue);
        const earlier = track?.latest ?? empty;
        const latest: Sample = { amount, seenMs };
        const hasGrown = earlier !== undefined && amount > earlier.amount;
        const isGrowing = hasGrown || isBetweenSteps(track, latest, limits);
        const before =
          isGrowing && earlier !== undefined ? baseSample(track?.before, earlier, latest, limits) : undefined;
        next.set(queue, { before, latest, isInspected: false });
        const predictedMs = nextInspectionMs(before, latest, limits, horizonMs);
        const needsRate =
          hasGrown && hasClearlyGrown(earlier, latest, limits) && amount < Math.max(...limits.thresholds);
        if (needsRate) inspections.set(queue, Math.min(predictedMs ?? Infinity, limits.firstInspectionMs));
        else if (predictedMs !== undefined) inspections.set(queue, predictedMs);
      }
      for (const [queue, track] of tracks) {
        if (isNewer(track) && track.latest.amount > 0 && !next.has(queue) && next.size < MAX_QUEUES)
          next.set(queue, track);
      }
      tracks = next;
      surveyedMs = seenMs;
      return inspections;
    },
    recordInspection(queue, amount, seenMs) {
      const track = tracks.get(queue);
      const latest: Sample = { amount, seenMs };
      const limits = limitsOf(queue);
      if (track === undefined) {
        if (amount === 0 || tracks.size >= MAX_QUEUES) return undefined;
        tracks.set(queue, { before: undefined, latest, isInspected: true });
        return limits.firstInspectionMs;
      }
      // It shrinks, or consumers hold some messages: the next survey shows which.
      if (amount < track.latest.amount || seenMs <= track.latest.seenMs) return undefined;
      const before = baseSample(track.before, track.latest, latest, limits);
      tracks.set(queue, { before, latest, isInspected: true });
      return nextInspectionMs(before, latest, limits, horizonMs);
    },
    growthOf(queue) {
      const track = tracks.get(queue);
      return track && { latest: track.latest, earlier: track.before };
    },
    forget: (queue) => void tracks.delete(queue),
  };
}

/** Whether a growing queue shows an unchanged amount only because its next message is not due yet. */
function isBetweenSteps(track: Track | undefined, next: Sample, limits: GrowthLimits): boolean {
  if (track?.before === undefined || next.amount !== track.latest.amount) return false;
  return mayStillGrow(track.before, track.latest, next, limits);
}
