import { NAMESPACE_PATTERN } from '../contract/names.ts';

const START = 'queue/';

/**
 * The namespace to which a queue belongs by its name, `queue/<namespace>/…`, or undefined. Only the store knows whether
 * that namespace exists.
 */
export function namespaceOfQueue(namespacePrefix: string, queue: string): string | undefined {
  if (!queue.startsWith(START) || !queue.startsWith(namespacePrefix, START.length)) return undefined;
  const end = queue.indexOf('/', START.length);
  if (end === -1) return undefined;
  const namespace = queue.slice(START.length, end);
  return NAMESPACE_PATTERN.test(namespace) ? namespace : undefined;
}
