import Mocha from 'mocha';

const { constants } = Mocha.Runner;

/**
 * Counts each unhandled rejection during a run as a failure: Mocha ignores those of tests. After the run, Node's own
 * handling applies: the process prints the error and exits with a code of failure.
 */
export function watchRejections(runner: Mocha.Runner): void {
  // Mocha emits each of them a second time.
  const seen = new WeakSet<Promise<unknown>>();
  let latest: Mocha.Test | undefined;
  const onUnhandled = (reason: unknown, promise: Promise<unknown>): void => {
    if (seen.has(promise)) return;
    seen.add(promise);
    const error = reason instanceof Error ? reason : new Error(`rejected with ${String(reason)}`);
    runner.failures++;
    runner.emit(constants.EVENT_TEST_FAIL, rejectionTest(runner, latest), error);
  };
  runner.on(constants.EVENT_TEST_BEGIN, (test) => (latest = test));
  runner.once(constants.EVENT_RUN_END, () => process.removeAllListeners('unhandledRejection'));
  process.on('unhandledRejection', onUnhandled);
}

/** Stands for a rejection in the list of failures: the test that caused it may have passed. */
function rejectionTest(runner: Mocha.Runner, latest: Mocha.Test | undefined): Mocha.Test {
  const test = new Mocha.Test(
    latest === undefined ? 'unhandled rejection' : `unhandled rejection in or after "${latest.title}"`,
  );
  test.parent = latest?.parent ?? runner.suite;
  return test;
}
