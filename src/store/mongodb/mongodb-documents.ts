type InstantField<Item> = Extract<keyof Item, `${string}Ms`>;

/**
 * An item as MongoDB keeps it. Its id is the `_id`, which is unique without an index. Each instant, a field `…Ms` in ms since
 * the epoch or null, is a date without the `Ms`, so that a person who looks into the database can read it.
 */
export type DocumentOf<Item, Id extends keyof Item> = { readonly _id: string } & {
  readonly [Field in Exclude<keyof Item, Id> as Field extends `${infer Name}Ms`
    ? Name
    : Field]: Field extends InstantField<Item> ? Exclude<Item[Field], number> | Date : Item[Field];
};

/** Translates items into documents and back. */
export interface DocumentMapping<Item, Document> {
  readonly toDocument: (item: Item) => Document;
  readonly toItem: (document: Document) => Item;
}

/** The mapping of items with these instants. All other fields stay as they are. */
export function createDocumentMapping<Item extends object, Id extends keyof Item & string>(
  id: Id,
  instants: readonly InstantField<Item>[],
): DocumentMapping<Item, DocumentOf<Item, Id>> {
  const toName = new Map<string, string>(instants.map((field) => [field, field.slice(0, -'Ms'.length)]));
  const toField = new Map<string, string>([...toName].map(([field, name]) => [name, field]));
  return {
    toDocument({ [id]: _id, ...item }) {
      const fields = Object.entries(item).map(([field, value]): [string, unknown] => {
        const name = toName.get(field);
        return name === undefined ? [field, value] : [name, typeof value === 'number' ? new Date(value) : value];
      });
      return { _id, ...Object.fromEntries(fields) } as DocumentOf<Item, Id>;
    },
    toItem({ _id, ...document }) {
      const fields = Object.entries(document).map(([name, value]): [string, unknown] => {
        const field = toField.get(name);
        return field === undefined ? [name, value] : [field, value instanceof Date ? value.getTime() : value];
      });
      return { [id]: _id, ...Object.fromEntries(fields) } as Item;
    },
  };
}
