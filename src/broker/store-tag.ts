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

/** The store to which a user belongs by its tags; undefined when no agent created it, or when it has other tags, too. */
export function storeOfTags(tags: readonly string[]): string | undefined {
  const [tag, ...others] = tags;
  return tag?.startsWith(PREFIX) === true && others.length === 0 ? tag.slice(PREFIX.length) : undefined;
}
