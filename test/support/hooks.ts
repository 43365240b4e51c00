import { onFileEnd, onRunEnd, onTestStart, onTestEnd } from './cleanup.ts';
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

/** Removes what the tests of a file shared. What a file leaves would change what later files find on the shared broker. */
export async function afterFile(): Promise<void> {
  await onFileEnd();
}

/** Stops what tests share, such as the broker. */
export async function mochaGlobalTeardown(): Promise<void> {
  await onRunEnd();
  removeTestFolder();
}
