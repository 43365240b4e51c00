/** Declares a test of a group, as `it` does. */
export type DeclareTest = (title: string, work: () => Promise<void>) => void;

/**
 * Tests that mostly wait and have nothing to do with one another: the first of them that runs goes through all at once, and each
 * tells its own outcome. What they have to clean up is cleaned up after the first.
 *
 * @example
 * together((it) => {
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
      // Where one of them hangs the first is blamed for it too, and each of the others still tells its own outcome.
      if (isFirst) await Promise.allSettled(runs);
      await runs[index];
    });
  });
}
