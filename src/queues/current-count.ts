/**
 * The count of a queue's bytes while it holds. A queue that has become smaller since then has another size, which is
 * unknown.
 *
 * @param counted the count, with the messages that it was made of; undefined: unknown
 * @param messages how many messages the queue holds now; undefined: unknown
 */
export function currentCount<Count extends { readonly messages: number }>(
  counted: Count | undefined,
  messages: number | undefined,
): Count | undefined {
  return counted === undefined || messages === undefined || messages < counted.messages ? undefined : counted;
}
