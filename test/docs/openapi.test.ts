import assert from 'node:assert/strict';
import { Validator } from '@seriousme/openapi-schema-validator';
import { openApiDocument, openApiText } from '../../dev/openapi/document.ts';
import { ENDPOINT_FORMS } from '../../src/operator-api/endpoint.ts';
import { readDocument } from './documents.ts';

interface Schema {
  readonly $ref?: string;
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
}

interface Document {
  readonly paths: Readonly<
    Record<string, { get: { operationId: string; parameters: { name: string; in: string }[] } }>
  >;
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> };
}

const document = openApiDocument() as unknown as Document;

/** The fields without a description, with their paths. */
function undescribed({ properties = {}, items }: Schema, path: string): string[] {
  const own = Object.entries(properties).flatMap(([name, schema]) => [
    ...(schema.description === undefined && schema.items === undefined ? [`${path}.${name}`] : []),
    ...undescribed(schema, `${path}.${name}`),
  ]);
  return items === undefined ? own : [...own, ...undescribed(items, `${path}[]`)];
}

describe('docs/openapi.yaml', () => {
  it('is what `npm run docs` makes of the code', () => {
    assert.ok(readDocument('openapi.yaml') === openApiText(), 'it is out of date: run npm run docs');
  });

  it('is valid OpenAPI 3.1', async () => {
    const result = await new Validator().validate(readDocument('openapi.yaml'));
    assert.deepEqual(result.errors ?? [], []);
    assert.ok(result.valid);
  });

  it('has each endpoint, with each of its parameters', () => {
    const operations = Object.values(document.paths).map(({ get }) => get);
    assert.deepEqual(
      operations.map(({ operationId }) => operationId),
      [...Object.keys(ENDPOINT_FORMS), 'events'],
    );
    const { parameters } = document.paths['/api/v1/namespaces/{name}']?.get ?? { parameters: [] };
    assert.deepEqual(
      parameters.map(({ name, in: place }) => [name, place]),
      [['name', 'path']],
    );
  });

  it('refers to nothing outside of its components', () => {
    const references = [...openApiText().matchAll(/\$ref: "?(\S+?)"?$/gm)].map(([, reference = '']) => reference);
    assert.ok(references.length > 8);
    for (const reference of references) {
      const name = reference.replace('#/components/schemas/', '');
      assert.ok(Object.hasOwn(document.components.schemas, name), reference);
    }
  });

  it('describes every field', () => {
    const found = Object.entries(document.components.schemas).flatMap(([name, schema]) =>
      name === 'Error' ? [] : undescribed(schema, name),
    );
    assert.deepEqual(found, []);
  });
});
