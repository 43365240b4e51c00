import scopeLibrary from 'taskcluster-lib-scopes';
import type { DevRole } from './clients-file.ts';

/** Adds the scopes of all assumed roles; returns them normalised and sorted. */
export type ExpandScopes = (scopes: readonly string[]) => string[];

interface Rule {
  readonly pattern: string;
  readonly scopes: readonly string[];
}

const PARAMETER = '<..>';

/**
 * Expands roles by the rules of the auth service.
 *
 * `assume:<roleId>` gives the scopes of the role. A roleId that ends in `*` matches every longer one, and the matched part
 * replaces `<..>` in the role's scopes. A scope that ends in `*` assumes every role that it covers.
 *
 * @throws Error when roles depend on each other in a cycle, or a parameter is ambiguous: the service refuses to create such
 *   roles, and their expansion might not terminate
 */
export function createExpandScopes(roles: readonly DevRole[]): ExpandScopes {
  const rules = roles.map((role): Rule => ({ pattern: `assume:${role.roleId}`, scopes: role.scopes }));
  for (const rule of rules) checkParameters(rule);
  checkForCycles(rules);

  return (scopes) => {
    const found = new Set(scopes);
    // A Set also iterates over what is added during the loop, so this ends when nothing new is granted.
    for (const scope of found) {
      for (const rule of rules) {
        for (const granted of grantedBy(rule, scope)) found.add(granted);
      }
    }
    return normalised([...found]);
  };
}

/** Sorted, without scopes that another one covers. */
export function normalised(scopes: readonly string[]): string[] {
  return scopeLibrary.normalizeScopeSet(scopes.toSorted(scopeLibrary.scopeCompare));
}

function grantedBy(rule: Rule, scope: string): readonly string[] {
  const ruleCovers = scopeLibrary.patternMatch(rule.pattern, scope);
  if (!ruleCovers && !scopeLibrary.patternMatch(scope, rule.pattern)) return [];
  if (!rule.pattern.endsWith('*')) return rule.scopes;
  const parameter = ruleCovers ? scope.slice(rule.pattern.length - 1) : '*';
  return rule.scopes.map((granted) => withParameter(granted, parameter));
}

function withParameter(scope: string, parameter: string): string {
  const at = scope.indexOf(PARAMETER);
  if (at === -1) return scope;
  // A star matches every continuation, so nothing can follow it.
  const rest = parameter.endsWith('*') ? '' : scope.slice(at + PARAMETER.length);
  return scope.slice(0, at) + parameter + rest;
}

function checkParameters(rule: Rule): void {
  if (!rule.pattern.endsWith('*')) return;
  for (const scope of rule.scopes) {
    if (scope.split(PARAMETER).length > 2) {
      throw new Error(`Role ${rule.pattern} has several ${PARAMETER} in ${scope}. Leave one.`);
    }
    if (scope.endsWith(`*${PARAMETER}`)) {
      throw new Error(`Role ${rule.pattern} has a star before ${PARAMETER} in ${scope}. Remove the star.`);
    }
  }
}

function checkForCycles(rules: readonly Rule[]): void {
  const done = new Set<Rule>();
  const visit = (rule: Rule, path: readonly Rule[]): void => {
    if (done.has(rule)) return;
    if (path.includes(rule)) {
      const cycle = [...path.slice(path.indexOf(rule)), rule].map((each) => each.pattern);
      throw new Error(`Roles depend on each other in a cycle. Break it: ${cycle.join(' -> ')}.`);
    }
    // With the parameter '*' a scope reaches every role that it could reach with any other parameter.
    const reached = grantedBy(rule, rule.pattern);
    for (const next of rules) {
      if (reached.some((scope) => grantedBy(next, scope).length > 0)) visit(next, [...path, rule]);
    }
    done.add(rule);
  };
  for (const rule of rules) visit(rule, []);
}
