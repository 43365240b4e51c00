/** Types for the part of taskcluster-lib-scopes 11 that is used here; the package ships none. */
declare module 'taskcluster-lib-scopes' {
  export type ScopeExpression = string | { AllOf: ScopeExpression[] } | { AnyOf: ScopeExpression[] };

  const scopes: {
    /** Whether it is a string of printable ASCII characters. */
    validScope: (scope: unknown) => scope is string;
    /** Whether `pattern`, which may end in `*`, covers `scope`. */
    patternMatch: (pattern: string, scope: string) => boolean;
    /** The order in which {@link normalizeScopeSet} needs them. */
    scopeCompare: (a: string, b: string) => number;
    /** Drops duplicates and what another scope covers; the input must be sorted by {@link scopeCompare}. */
    normalizeScopeSet: (sorted: string[]) => string[];
    satisfiesExpression: (scopes: readonly string[], expression: ScopeExpression) => boolean;
    /** The part of the expression that the scopes do not satisfy; null when they satisfy it. */
    removeGivenScopes: (scopes: readonly string[], expression: ScopeExpression) => ScopeExpression | null;
  };
  export default scopes;
}
