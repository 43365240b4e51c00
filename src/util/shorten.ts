/**
 * The first `maxLength` characters of a text from another service, and how many follow. For messages that a client, the log
 * and the audit get: the other service decides how long they are.
 *
 * @example
 * shorten('abcdef', 4); // 'abcd… (2 more characters)'
 */
export function shorten(text: string, maxLength: number): string {
  if (text.length <= maxLength) return text;
  return `${text.slice(0, maxLength)}… (${text.length - maxLength} more characters)`;
}
