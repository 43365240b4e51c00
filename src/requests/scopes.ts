import scopeLibrary from 'taskcluster-lib-scopes';

/**
 * Whether `scopes` satisfy the scope `required`, by the rules of Taskcluster: one that ends in `*` satisfies every scope
 * that it is a prefix of.
 *
 * @example
 * scopesSatisfy(['pulse:namespace:taskcluster-*'], 'pulse:namespace:taskcluster-x'); // true
 */
export function scopesSatisfy(scopes: readonly string[], required: string): boolean {
  return scopeLibrary.satisfiesExpression(scopes, required);
}
