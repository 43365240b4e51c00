import assert from 'node:assert/strict';
import { WireError, type WireErrorBody, type WireErrorCode } from '../../src/contract/wire-errors.ts';
import { startDeadline } from '../../src/util/deadline.ts';
import { type AnsweredRequest, type AnswerParts, createAnswer } from '../../src/requests/answer.ts';
import type { Signer } from '../../src/requests/authenticate.ts';
import type { MethodHandlers } from '../../src/requests/method.ts';
import { DIRECT_ADDRESS, type DeliveryInput, deliveryOf } from './deliveries.ts';
import { storedNonceUse } from './nonces.ts';

/** What the requests here claim. */
export const namespace = 'taskcluster-x';
/** The result of a claim. */
export const result = {
  namespace,
  created: '2026-11-24T12:00:00.000Z',
  expires: '2026-11-24T16:00:00.000Z',
  reclaimAt: '2026-11-24T13:30:00.000Z',
  connectionString: 'amqp://taskcluster-x-1:hidden@h/',
};
/** The node of the requester. */
export const node = { hash: 1, sinceMs: 0 };
/** Who signed a request, unless a test says otherwise. */
export const signer: Signer = {
  clientId: 'project/x',
  scopes: ['pulse:namespace:taskcluster-x'],
  nonce: storedNonceUse({ replyAddress: DIRECT_ADDRESS }),
};
/** Handlers that succeed. */
export const handlers: MethodHandlers = {
  ping: async () => ({ alive: true, uptimeSeconds: 1, version: '1', agent: 'a' }),
  'claim-namespace': async () => result,
  'get-namespace': async () => ({ ...result, state: 'active' }),
  'describe-namespace': async () => ({ ...result, state: 'active', holder: 'project/x', alerts: [], audit: [] }),
  'list-namespaces': async () => ({ namespaces: [] }),
  'release-namespace': async () => ({ namespace, state: 'expiring' }),
  'revoke-namespace': async () => ({ namespace }),
};

/** Parts that differ from good ones, and handlers that replace good ones. */
export type Given = Omit<Partial<AnswerParts>, 'handlers'> & { handlers?: Partial<MethodHandlers> };

/** Answers one delivery with good parts, except those given. */
export async function answer(
  input: DeliveryInput = {},
  given: Given = {},
  deadline = startDeadline(10_000),
): Promise<AnsweredRequest> {
  const parts: AnswerParts = {
    rpcExchange: 'rpc/pulse-agent/v1',
    namespacePrefix: 'taskcluster-',
    authenticate: async () => signer,
    limitRequests: () => undefined,
    locateReplyAddress: async () => ({ kind: 'running', node }),
    isRequesterGone: () => false,
    onRequestersGone: () => undefined,
    ...given,
    handlers: { ...handlers, ...given.handlers },
  };
  return await createAnswer(parts)(deliveryOf(input), deadline).finally(() => deadline.clear());
}

/** A claim that is signed and allowed. */
export const claim: DeliveryInput = { routingKey: 'claim-namespace', content: { namespace } };

/** The error in a reply. */
export function errorIn({ answer: what }: AnsweredRequest): WireErrorBody {
  assert.equal(what.kind, 'reply');
  assert.equal(what.reply.properties.type, 'error');
  assert.equal(what.reply.properties.contentType, 'application/json');
  return JSON.parse(what.reply.content.toString()) as WireErrorBody;
}

/** The reason of a dead letter. */
export function reasonOf({ answer: what }: AnsweredRequest): string {
  assert.equal(what.kind, 'dead-letter');
  return what.reason;
}

/** Makes a part that always fails with this error. */
export function fails(code: WireErrorCode): () => Promise<never> {
  return () => Promise.reject(new WireError(code, 'No.'));
}

/** A part that never answers. */
export function hang(): Promise<never> {
  return new Promise(() => undefined);
}

/** A part that must not be called. */
export const unused = async (): Promise<never> => assert.fail('must not be called');
