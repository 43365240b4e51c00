import { AgentError } from './agent-errors.ts';

/** Returned by an attempt whose record another writer changed, or whose write window closed: read it again. */
export const CONFLICT: unique symbol = Symbol('conflict');

/** What one attempt comes to: its result, or {@link CONFLICT}. */
export type Attempt<T> = T | typeof CONFLICT;

/**
 * Each conflict means that another writer succeeded, so that with n concurrent writers n attempts are enough. A request
 * ends earlier by its deadline.
 */
const MAX_ATTEMPTS = 100;

/**
 * Reads a record and writes it, again and again until no other writer was faster.
 *
 * @param subject what is written, for the message of the error.
 * @param attempt reads the record, decides, and writes by compare-and-set.
 * @throws AgentError `Contended` when every attempt conflicted; what `attempt` throws.
 */
export async function compareAndSet<T>(
  subject: string,
  signal: AbortSignal,
  attempt: () => Promise<Attempt<T>>,
  maxAttempts: number = MAX_ATTEMPTS,
): Promise<T> {
  for (let attempts = 0; attempts < maxAttempts; attempts += 1) {
    signal.throwIfAborted();
    const outcome = await attempt();
    if (outcome !== CONFLICT) return outcome;
  }
  throw new AgentError('Contended', `Gave up on ${subject} after ${maxAttempts} conflicting concurrent updates.`);
}
