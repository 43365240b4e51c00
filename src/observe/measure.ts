import type { Clock } from '../util/clock.ts';
import { AgentError } from '../util/agent-errors.ts';

/** Is told of one call that has ended. */
export type Measured = (operation: string, outcome: string, durationMs: number) => void;

/** How {@link measure} measures. */
export interface MeasureParts {
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly onCall: Measured;
  /** Put before the name of the method, with a dot. */
  readonly prefix?: string;
  /** What a call that did not fail counts as; `ok` when absent. */
  readonly outcomeOf?: (result: unknown) => string;
}

/** A call that succeeded. */
export const OK = 'ok';

/**
 * The part with a clock at each call that answers later. What is called and what comes back are the same; a call that
 * answers at once, such as `close`, is not measured.
 *
 * @example
 * const management = measure(createManagement(settings), { clock, onCall: (operation, outcome, durationMs) => … });
 */
export function measure<Part extends object>(part: Part, parts: MeasureParts): Part {
  const wrapped = new Map<PropertyKey, unknown>();
  return new Proxy(part, {
    get(target, property) {
      const member: unknown = Reflect.get(target, property, target);
      if (typeof member !== 'function' || typeof property !== 'string') return member;
      const known = wrapped.get(property);
      if (known !== undefined) return known;
      const operation = parts.prefix === undefined ? property : `${parts.prefix}.${property}`;
      const made = (...args: unknown[]): unknown => {
        const startedMs = parts.clock.monotonicMs();
        const result: unknown = Reflect.apply(member, target, args);
        return result instanceof Promise ? timed(result, operation, startedMs, parts) : result;
      };
      wrapped.set(property, made);
      return made;
    },
  });
}

async function timed(
  call: Promise<unknown>,
  operation: string,
  startedMs: number,
  { clock, onCall, outcomeOf }: MeasureParts,
): Promise<unknown> {
  let outcome = OK;
  try {
    const result = await call;
    if (outcomeOf !== undefined) outcome = outcomeOf(result);
    return result;
  } catch (error) {
    outcome = outcomeOfError(error);
    throw error;
  } finally {
    onCall(operation, outcome, clock.monotonicMs() - startedMs);
  }
}

/**
 * What a failure counts as: the code of an AgentError; `aborted` where a deadline passed or the agent stops; else
 * `error`. A closed set, as it becomes a label.
 */
export function outcomeOfError(error: unknown, signal?: AbortSignal): string {
  if (error instanceof AgentError) return error.code;
  if (signal?.aborted === true) return 'aborted';
  return error instanceof Error && /^(Abort|Timeout)Error$/.test(error.name) ? 'aborted' : 'error';
}
