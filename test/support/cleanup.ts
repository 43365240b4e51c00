type Cleanup = () => void | Promise<void>;

const ofTest: Cleanup[] = [];
const ofRun: Cleanup[] = [];
let insideTest = false;

/**
 * Has `cleanup` run after the present test, when called in a test or in a `beforeEach`, and else after the whole run.
 * What was added last is cleaned up first.
 */
export function addCleanup(cleanup: Cleanup): void {
  (insideTest ? ofTest : ofRun).push(cleanup);
}

/** As {@link addCleanup}, for what all tests share whoever asks for it first. */
export function addRunCleanup(cleanup: Cleanup): void {
  ofRun.push(cleanup);
}

/** Called by the root hooks only. */
export function onTestStart(): void {
  insideTest = true;
}

/** Called by the root hooks only. */
export async function onTestEnd(): Promise<void> {
  insideTest = false;
  await runAll(ofTest);
}

/** Called by the root hooks only. */
export async function onRunEnd(): Promise<void> {
  await runAll(ofRun);
}

async function runAll(cleanups: Cleanup[]): Promise<void> {
  const failures: unknown[] = [];
  for (let cleanup = cleanups.pop(); cleanup !== undefined; cleanup = cleanups.pop()) {
    try {
      await cleanup();
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw new AggregateError(failures, 'Cleaning up after tests failed.');
}
