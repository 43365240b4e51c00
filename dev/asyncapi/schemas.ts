import * as z from 'zod';

/** A JSON Schema, or a reference to one. */
export type JsonSchema = Record<string, unknown>;

/** A part of the document. */
export type Part = Record<string, unknown>;

/** The schemas of `components`, by name. */
export type SchemaComponents = Record<string, JsonSchema>;

/**
 * The JSON Schema (draft 07, as AsyncAPI requires) of what crosses the wire: fields as in JSON, not as the code represents
 * them. Schemas with an `id` go into `components` and are referenced.
 */
export function toJsonSchema(schema: z.ZodType, components: SchemaComponents): JsonSchema {
  const {
    $schema: _draft,
    definitions = {},
    ...rest
  } = z.toJSONSchema(schema, { io: 'input', target: 'draft-7' }) as JsonSchema & { definitions?: SchemaComponents };
  for (const [id, definition] of Object.entries(definitions)) components[id] = pointToComponents(definition);
  return pointToComponents(rest);
}

/** Like {@link toJsonSchema}, for readers, who ignore unknown fields even where the agent itself writes none. */
export function toReaderSchema(schema: z.ZodType, components: SchemaComponents): JsonSchema {
  return mapObjects(toJsonSchema(schema, components), ({ additionalProperties, ...rest }) =>
    additionalProperties === false || additionalProperties === undefined ? rest : { ...rest, additionalProperties },
  );
}

/** An example value of `schema`, made of the examples of its fields. */
export function exampleOf(schema: JsonSchema, components: SchemaComponents): unknown {
  if (typeof schema['$ref'] === 'string') {
    return exampleOf(components[schema['$ref'].split('/').at(-1) ?? ''] ?? {}, components);
  }
  if ('const' in schema) return schema['const'];
  if (Array.isArray(schema['examples'])) return schema['examples'][0] as unknown;
  if (schema['type'] === 'array') return [exampleOf(schema['items'] as JsonSchema, components)];
  const properties = Object.entries((schema['properties'] ?? {}) as Record<string, JsonSchema>);
  return Object.fromEntries(properties.map(([name, property]) => [name, exampleOf(property, components)]));
}

/** All properties of a schema and of nested schemas, with their paths. */
export function propertiesOf(schema: JsonSchema, path = ''): [path: string, property: JsonSchema][] {
  const properties = Object.entries((schema['properties'] ?? {}) as Record<string, JsonSchema>);
  return properties.flatMap(([name, property]) => [
    [`${path}${name}`, property],
    ...propertiesOf(property, `${path}${name}.`),
  ]);
}

function pointToComponents(schema: JsonSchema): JsonSchema {
  return mapObjects(schema, (object) =>
    typeof object['$ref'] === 'string'
      ? { ...object, $ref: object['$ref'].replace('#/definitions/', '#/components/schemas/') }
      : object,
  );
}

function mapObjects(value: JsonSchema, map: (object: JsonSchema) => JsonSchema): JsonSchema {
  const entries = Object.entries(value).map(([key, inner]) => [key, mapValue(inner, map)]);
  return map(Object.fromEntries(entries) as JsonSchema);
}

function mapValue(value: unknown, map: (object: JsonSchema) => JsonSchema): unknown {
  if (Array.isArray(value)) return value.map((item) => mapValue(item, map));
  return typeof value === 'object' && value !== null ? mapObjects(value as JsonSchema, map) : value;
}
