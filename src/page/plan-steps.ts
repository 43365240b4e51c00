import type { PlanStep } from '../operator-api/schemas.ts';
import type { Shape, Tone } from './state-tones.ts';

interface StepText {
  readonly verb: string;
  readonly tone: Tone;
  readonly shape: Shape;
}

const STEPS: Readonly<Record<string, StepText>> = {
  rotate: { verb: 'rotate', tone: 'good', shape: 'disc' },
  'replace-secret': { verb: 'choose another secret for', tone: 'warn', shape: 'triangle' },
  announce: { verb: 'announce the expiry of', tone: 'warn', shape: 'triangle' },
  delete: { verb: 'delete', tone: 'bad', shape: 'square' },
  recheck: { verb: 'check the accounts of', tone: 'idle', shape: 'ring' },
  'warn-queue': { verb: 'warn of', tone: 'warn', shape: 'triangle' },
  'delete-queue': { verb: 'delete', tone: 'bad', shape: 'square' },
  'purge-queue': { verb: 'purge', tone: 'bad', shape: 'square' },
  'end-exemption': { verb: 'end the exemption of', tone: 'idle', shape: 'diamond' },
};

/** How a kind of step is shown; undefined: the page does not know it. */
export function knownStep(action: string): StepText | undefined {
  return STEPS[action];
}

/** How a kind of step is shown. One that the page does not know is shown by its name. */
export function stepText(action: PlanStep['action']): StepText {
  return knownStep(action) ?? { verb: action, tone: 'idle', shape: 'ring' };
}

/** A mark of the band above the plan: one for all steps of one look within one place of it. */
export interface PlanMark {
  /** From 0, the start of the plan, to 1, its end. */
  readonly place: number;
  readonly tone: Tone;
  readonly count: number;
}

const PLACES = 96;

/** Where the steps lie in the span of the plan. */
export function planMarks(
  steps: readonly Pick<PlanStep, 'at' | 'action' | 'count' | 'last'>[],
  fromMs: number,
  untilMs: number,
): PlanMark[] {
  const marks = new Map<string, PlanMark>();
  for (const { at, action, count } of steps) {
    const share = (Date.parse(at) - fromMs) / Math.max(1, untilMs - fromMs);
    const place = Math.round(Math.min(1, Math.max(0, share)) * PLACES) / PLACES;
    const { tone } = stepText(action);
    const key = `${tone} ${place}`;
    marks.set(key, { place, tone, count: count + (marks.get(key)?.count ?? 0) });
  }
  return [...marks.values()];
}
