import { runEnds, testBegins, testEnds } from './cleanup.ts';
import { removeTestFolder } from './folders.ts';

/** Root hooks: `beforeEach` runs before those of every suite, `afterEach` after them. */
export const mochaHooks = {
  beforeEach(): void {
    testBegins();
  },
  async afterEach(): Promise<void> {
    await testEnds();
  },
};

/** Ends what tests have started and share, such as the broker. */
export async function mochaGlobalTeardown(): Promise<void> {
  await runEnds();
  removeTestFolder();
}
