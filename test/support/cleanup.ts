type Cleanup = () => void | Promise<void>;

const ofTest: Cleanup[] = [];
const ofFile: Cleanup[] = [];
const ofRun: Cleanup[] = [];
let insideTest = false;

/**
 * Runs `cleanup` after the current test when called in a test or a `beforeEach`, otherwise after the file (where one
 * process of Mocha runs several files, after the last one). The last one added runs first.
 */
export function addCleanup(cleanup: Cleanup): void {
  (insideTest ? ofTest : ofFile).push(cleanup);
}

/** Runs `cleanup` after the whole run, wherever it is called: for what all tests share. */
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

/** Called between two files by the process that runs both. */
export async function onFileEnd(): Promise<void> {
  await runAll(ofFile);
}

/** Called by the root hooks only. */
export async function onRunEnd(): Promise<void> {
  try {
    await onFileEnd();
  } finally {
    await runAll(ofRun);
  }
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
