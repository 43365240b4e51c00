const reasons = new WeakMap<object, string>();

/**
 * Skips the current test, or, in a `before` hook, all tests of its suite; the report shows the reason.
 *
 * @example
 * it('needs a real mongod', function () {
 *   if (!mongod) skipBecause(this, 'no mongod on this machine');
 * });
 */
export function skipBecause(context: Mocha.Context, reason: string): never {
  const runnable = context.test;
  // A `beforeEach` has a current test, a `before` has none.
  const ofSuite = runnable?.title.startsWith('"before all" hook') ?? false;
  const skipped = ofSuite ? runnable?.parent : (context.currentTest ?? runnable);
  if (skipped !== undefined) reasons.set(skipped, reason);
  return context.skip();
}

/** Why `test`, or a suite around it, was skipped. */
export function skipReason(test: Mocha.Test): string {
  let place: Mocha.Test | Mocha.Suite | undefined = test;
  while (place !== undefined) {
    const reason = reasons.get(place);
    if (reason !== undefined) return reason;
    place = place.parent;
  }
  return test.fn === undefined ? 'not written yet' : 'no reason given';
}
