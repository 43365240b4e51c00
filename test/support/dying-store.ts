import type { Store } from '../../src/store/store.ts';
import { interceptStore } from './step-observer.ts';

/**
 * A store that fails from a step on, as if its agent had died.
 *
 * @param atStep such as `notices.replace`, or `notices.replace 2` for the second call of it
 */
export function dyingStore(store: Store, atStep: string, moment: 'before' | 'after'): Store {
  const taken = new Map<string, number>();
  let isDead = false;
  const die = (): never => {
    isDead = true;
    throw new Error('The agent has died.');
  };
  return interceptStore(store, async (step, call) => {
    if (isDead) die();
    const times = (taken.get(step) ?? 0) + 1;
    taken.set(step, times);
    const isIt = atStep === (times > 1 ? `${step} ${times}` : step);
    if (isIt && moment === 'before') die();
    const result = await call();
    return isIt ? die() : result;
  });
}
