const reasons = new WeakMap<object, string>();

/**
 * Skips the present test, or, in a `before` hook, all tests of its suite, and has the report say why.
 *
 * @example
 * it('needs a real mongod', function () {
 *   if (!mongod) skipBecause(this, 'no mongod on this machine');
 * });
 */
export function skipBecause(context: Mocha.Context, reason: string): never {
  const runnable = context.test;
  // In a `beforeEach` there is a current test as well, in a `before` there is none.
  const ofSuite = runnable?.title.startsWith('"before all" hook') ?? false;
  const skipped = ofSuite ? runnable?.parent : (context.currentTest ?? runnable);
  if (skipped !== undefined) reasons.set(skipped, reason);
  return context.skip();
}

/** Why `test` was skipped: said of the test or of a suite around it. */
export function skipReason(test: Mocha.Test): string {
  let place: Mocha.Test | Mocha.Suite | undefined = test;
  while (place !== undefined) {
    const reason = reasons.get(place);
    if (reason !== undefined) return reason;
    place = place.parent;
  }
  return test.fn === undefined ? 'not written yet' : 'no reason given';
}
