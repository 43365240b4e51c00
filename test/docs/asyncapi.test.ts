import assert from 'node:assert/strict';
import { Parser } from '@asyncapi/parser';
import { WIRE_ERRORS, type WireErrorCode } from '../../src/contract/wire-errors.ts';
import { EVENT_TYPES, type EventType } from '../../src/contract/event-types.ts';
import { eventSchema } from '../../src/contract/events.ts';
import { parseRequestBody, parseResult } from '../../src/contract/messages.ts';
import { METHODS, type MethodName } from '../../src/contract/methods.ts';
import { contractNames } from '../../src/contract/names.ts';
import { readReply } from '../../src/contract/reply.ts';
import { asyncApiDocument, asyncApiText } from '../../dev/asyncapi/document.ts';
import { camelCase } from '../../dev/asyncapi/requests.ts';
import { type JsonSchema, propertiesOf } from '../../dev/asyncapi/schemas.ts';
import { readDocument } from './documents.ts';

interface Message {
  readonly contentType: string;
  readonly headers?: JsonSchema;
  readonly payload: JsonSchema;
  readonly examples?: readonly { readonly name: string; readonly payload: unknown }[];
}

interface Operation {
  readonly action: string;
  readonly channel: { readonly $ref: string };
  readonly reply?: { readonly messages: readonly { readonly $ref: string }[] };
  readonly security?: unknown;
  readonly 'x-taskcluster-scope'?: string;
}

interface Document {
  readonly channels: Readonly<
    Record<string, { address: string | null; servers: unknown; bindings: { amqp: { exchange: JsonSchema } } }>
  >;
  readonly operations: Readonly<Record<string, Operation>>;
  readonly components: { messages: Readonly<Record<string, Message>>; schemas: Readonly<Record<string, JsonSchema>> };
}

const document = asyncApiDocument() as unknown as Document;
const { messages, schemas } = document.components;
const methods = Object.keys(METHODS) as MethodName[];
const bytes = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
/** Of a diagnostic; below it are warnings and errors. */
const INFORMATION = 2;

function examplesOf(message: string): readonly unknown[] {
  const examples = messages[message]?.examples ?? [];
  assert.ok(examples.length > 0, `${message} has no example`);
  return examples.map(({ payload }) => payload);
}

describe('docs/asyncapi.yaml', () => {
  it('is what `npm run docs` makes of the code', () => {
    assert.ok(readDocument('asyncapi.yaml') === asyncApiText(), 'it is out of date: run npm run docs');
  });

  it('is valid AsyncAPI 3, without warnings', async () => {
    const { document: parsed, diagnostics } = await new Parser().parse(readDocument('asyncapi.yaml'));
    assert.deepEqual(
      diagnostics.filter(({ severity }: { severity: number }) => severity < INFORMATION),
      [],
    );
    assert.equal(parsed?.version(), '3.0.0');
    assert.equal(parsed.operations().all().length, methods.length + 2);
  });

  for (const method of methods) {
    it(`has the operation ${method} with request, reply, signature and scope`, () => {
      const name = camelCase(method);
      const operation = document.operations[name];
      const channel = document.channels[name];
      assert.equal(operation?.action, 'receive');
      assert.equal(channel?.address, method);
      assert.equal(channel.bindings.amqp.exchange['name'], contractNames('pulse-agent').rpcExchange);
      assert.deepEqual(channel.servers, [{ $ref: '#/servers/requests' }]);
      const { signed, scope } = METHODS[method];
      assert.equal(operation.security !== undefined, signed);
      assert.equal(operation['x-taskcluster-scope'], scope?.('<namespace>'));
      const replies = operation.reply?.messages.map(({ $ref }) => $ref.split('/').at(-1));
      const sealed = method === 'claim-namespace' ? [`${name}SealedResult`] : [];
      assert.deepEqual(replies, [`${name}Result`, ...sealed, 'error']);
    });

    it(`has examples of ${method} that agent and client accept`, () => {
      for (const body of examplesOf(`${camelCase(method)}Request`)) parseRequestBody(method, bytes(body));
      for (const result of examplesOf(`${camelCase(method)}Result`)) parseResult(method, bytes(result));
    });
  }

  it('has every error in the form that a client reads', () => {
    const codes = examplesOf('error').map((body) => {
      const read = readReply({ type: 'error', contentType: 'application/json' }, bytes(body));
      return read.kind === 'error' ? [read.error.code, read.error.retryable, read.error.message] : [];
    });
    const table = (Object.keys(WIRE_ERRORS) as WireErrorCode[]).map((code) => [
      code,
      WIRE_ERRORS[code].retryable,
      WIRE_ERRORS[code].meaning,
    ]);
    assert.deepEqual(codes, table);
  });

  it('has every type of event, with an example that its schema accepts', () => {
    for (const type of Object.keys(EVENT_TYPES) as EventType[]) {
      for (const event of examplesOf(`${camelCase(type)}Event`)) eventSchema(type).parse(event);
    }
  });

  it('describes every field, with an example', () => {
    const places = Object.entries(messages).flatMap(([name, { headers = {}, payload }]) =>
      [headers, payload].map((schema) => [name, schema] as const),
    );
    let fields = 0;
    for (const [name, schema] of [...places, ...Object.entries(schemas)]) {
      for (const [path, property] of propertiesOf(schema)) {
        fields += 1;
        const where = `${name}: ${path}`;
        assert.ok(property['description'], `${where} has no description`);
        const shown = 'examples' in property || 'const' in property || 'properties' in property || 'items' in property;
        assert.ok(shown, `${where} has no example`);
      }
    }
    assert.ok(fields > 150, `only ${fields} fields were checked`);
  });
});
