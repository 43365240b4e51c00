type Close = () => Promise<void> | void;

/** What is to be closed when an agent ends, or when its start fails. */
export interface Lifecycle {
  /** It is closed before all that were pushed before it. */
  push(close: Close): void;
  /**
   * As {@link push}, but those that are pushed in this way one after the other are closed at the same time: each may have to
   * wait for an answer that does not come.
   */
  pushTogether(close: Close): void;
  /** Closes all, last in first, whatever fails; rejects in the end with what failed first. */
  closeAll(): Promise<void>;
}

/** With nothing to close. */
export function createLifecycle(): Lifecycle {
  const stages: { readonly isTogether: boolean; readonly closes: Close[] }[] = [];
  return {
    push: (close) => void stages.push({ isTogether: false, closes: [close] }),
    pushTogether(close) {
      const last = stages.at(-1);
      if (last?.isTogether === true) last.closes.push(close);
      else stages.push({ isTogether: true, closes: [close] });
    },
    async closeAll() {
      const failures: unknown[] = [];
      for (const { closes } of stages.splice(0).toReversed()) {
        const outcomes = await Promise.allSettled(closes.map(async (close) => await close()));
        for (const outcome of outcomes) if (outcome.status === 'rejected') failures.push(outcome.reason);
      }
      if (failures.length > 0) throw failures[0];
    },
  };
}
