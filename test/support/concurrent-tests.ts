/** Declares one test, as `it` does. */
export type DeclareTest = (title: string, work: () => Promise<void>) => void;

/**
 * Declares tests that mostly wait and share nothing: the first one starts all of them, and each reports its own outcome.
 * Their cleanups run after the first one.
 *
 * @example
 * concurrentTests((it) => {
 *   it('waits', async () => { … });
 *   it('waits as well', async () => { … });
 * });
 */
export function concurrentTests(declare: (it: DeclareTest) => void): void {
  const works: (() => Promise<void>)[] = [];
  let runs: Promise<void>[] | undefined;
  declare((title, work) => {
    const index = works.push(work) - 1;
    it(title, async () => {
      const isFirst = runs === undefined;
      runs ??= works.map((each) => each());
      // If one hangs, the first one times out too; all the rest still report their own outcome.
      if (isFirst) await Promise.allSettled(runs);
      await runs[index];
    });
  });
}
