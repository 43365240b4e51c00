import { NAMESPACE_PATTERN } from '../contract/names.ts';

const START = 'queue/';

/**
 * The namespace that a queue would belong to by its name, `queue/<namespace>/…`, or undefined. Whether there is such a
 * namespace only the store knows.
 */
export function namespaceOfQueue(namespacePrefix: string, queue: string): string | undefined {
  if (!queue.startsWith(START) || !queue.startsWith(namespacePrefix, START.length)) return undefined;
  const end = queue.indexOf('/', START.length);
  if (end === -1) return undefined;
  const namespace = queue.slice(START.length, end);
  return NAMESPACE_PATTERN.test(namespace) ? namespace : undefined;
}

/**
 * Whether what a queue holds is what nobody has read. A stream keeps what was read, so that its depth says nothing:
 * listings have none for it, while a passive declaration has.
 */
export function isCounted({ type }: { readonly type: string }): boolean {
  return type === 'classic' || type === 'quorum';
}
