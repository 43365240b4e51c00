const PREFIX = 'pulse-agent-';

/**
 * The one tag of every RabbitMQ user that the agents of a store create. RabbitMQ knows no such tag, so that it grants
 * nothing: it shows which store the user belongs to.
 */
export function storeTag(storeId: string): string {
  return `${PREFIX}${storeId}`;
}

/** Whether these are the tags of a user of this store: its tag and no other. */
export function hasOnlyStoreTag(tags: readonly string[], storeId: string): boolean {
  return tags.length === 1 && tags[0] === storeTag(storeId);
}

/** The stores that created a user, by its tags; none when no agent did. Other tags of the user do not matter. */
export function storesOfTags(tags: readonly string[]): string[] {
  return tags.filter((tag) => tag.startsWith(PREFIX)).map((tag) => tag.slice(PREFIX.length));
}
