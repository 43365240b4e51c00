import { onRunEnd, onTestStart, onTestEnd } from './cleanup.ts';
import { removeTestFolder } from './folders.ts';

/** Root hooks: `beforeEach` runs before those of every suite, `afterEach` after them. */
export const mochaHooks = {
  beforeEach(): void {
    onTestStart();
  },
  async afterEach(): Promise<void> {
    await onTestEnd();
  },
};

/** Stops what tests share, such as the broker. */
export async function mochaGlobalTeardown(): Promise<void> {
  await onRunEnd();
  removeTestFolder();
}
