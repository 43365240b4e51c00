import assert from 'node:assert/strict';

/** A stand-in that has only what is given. Reading anything else of it fails the test. */
export function partial<T extends object>(given: Partial<T>): T {
  return new Proxy(given, {
    get(target, key, receiver) {
      if (typeof key === 'string' && !(key in target)) assert.fail(`${key} is used, and this test does not expect it`);
      return Reflect.get(target, key, receiver) as unknown;
    },
  }) as T;
}
