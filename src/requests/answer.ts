import { WireError } from '../contract/wire-errors.ts';
import type { MethodName } from '../contract/methods.ts';
import { METHODS } from '../contract/methods.ts';
import { errorReply, type Reply, resultReply, sealedReply } from '../contract/reply.ts';
import type { ReplyKey } from '../contract/reply-key.ts';
import { seal } from '../contract/sealing.ts';
import type { Signer, SignedRequest } from './authenticate.ts';
import type { MethodHandler, MethodHandlers } from './method.ts';
import { type ReplyAddress, signedReplyTo, classifyReplyAddress } from './reply-address.ts';
import { type Delivery, readRequest, type Request } from './request.ts';
import { scopesSatisfy } from './scopes.ts';
import { asShortText } from './short-text.ts';
import { toWireError } from './wire-error.ts';

/** What is to be done with a delivery. */
export type Answer =
  | { readonly kind: 'reply'; readonly address: ReplyAddress & { kind: 'direct' | 'queue' }; readonly reply: Reply }
  | { readonly kind: 'dead-letter'; readonly reason: string }
  | { readonly kind: 'drop'; readonly reason: string };

/** An answer with what the log tells of it. */
export interface Answered {
  readonly answer: Answer;
  readonly method: string;
  readonly namespace: string | undefined;
  readonly clientId: string | undefined;
  /** `result` or the code of the error. */
  readonly outcome: string;
  /** What went wrong, where it is not the client's doing. */
  readonly cause: unknown;
  /** What the method wants done after the reply. */
  readonly afterReply?: readonly (() => void)[];
}

/** What {@link createAnswer} works with. */
export interface AnswerParts {
  readonly rpcExchange: string;
  readonly namespacePrefix: string;
  readonly handlers: MethodHandlers;
  readonly authenticate: (request: SignedRequest, signal: AbortSignal) => Promise<Signer>;
  /** Whether a running node can have written this direct reply-to address. */
  readonly isLiveReplyAddress: (address: string) => Promise<boolean>;
}

/**
 * Makes the function that turns a delivery into an answer. It never throws: what goes wrong becomes an error reply, or a
 * dead letter where the reply address may not be written to.
 */
export function createAnswer(parts: AnswerParts): (delivery: Delivery, signal: AbortSignal) => Promise<Answered> {
  /** The authenticated signer, if the request is signed; throws where it has to be and is not, or lacks the scope. */
  const admit = async (
    request: Request,
    address: ReplyAddress & { kind: 'direct' | 'queue' },
    signal: AbortSignal,
    seen: { clientId?: string },
  ): Promise<Signer | undefined> => {
    const contract = METHODS[request.method];
    if (!contract.signed && request.authorization === undefined) return undefined;
    const signer = await parts.authenticate({ ...request, signedReplyTo: signedReplyTo(address) }, signal);
    seen.clientId = signer.clientId;
    const namespace = namespaceOf(request);
    if (contract.scope !== null && namespace !== undefined) {
      const required = contract.scope(namespace);
      if (!scopesSatisfy(signer.scopes, required)) {
        throw new WireError('InsufficientScopes', `The client ${signer.clientId} needs the scope ${required}.`, {
          details: { required, clientId: signer.clientId },
        });
      }
    }
    return signer;
  };

  const serve = async (
    request: Request,
    signer: Signer | undefined,
    signal: AbortSignal,
    afterReply: (work: () => void) => void,
  ): Promise<Reply> => {
    const { userId, correlationId } = request;
    const handler: MethodHandler<MethodName> | undefined = parts.handlers[request.method];
    if (handler === undefined) {
      throw new WireError('InputError', `This agent does not serve the method ${request.method}.`, {
        details: { field: 'method', methods: Object.keys(parts.handlers) },
      });
    }
    const json = JSON.stringify(await handler(request.body, { signer, userId, correlationId, signal, afterReply }));
    const replyKey = replyKeyOf(request);
    return replyKey === undefined
      ? resultReply(request.correlationId, json)
      : sealedReply(request.correlationId, await seal(json, replyKey));
  };

  return async (delivery, signal) => {
    const told = { method: delivery.routingKey, namespace: undefined, clientId: undefined, cause: undefined };
    if (delivery.exchange !== parts.rpcExchange) {
      const reason = 'it did not come through the request exchange';
      return { ...told, answer: { kind: 'drop', reason }, outcome: 'dropped' };
    }
    let address: ReplyAddress;
    try {
      const sorted = classifyReplyAddress(delivery.properties.replyTo, parts.isLiveReplyAddress);
      address = await untilAborted(sorted, signal);
    } catch (cause) {
      // Without knowing the broker's nodes an error cannot be sent either: a forged address would cut the connection.
      const reason = 'the reply_to could not be checked';
      return { ...told, answer: { kind: 'dead-letter', reason }, outcome: 'dead-lettered', cause };
    }
    if (address.kind === 'refused') {
      return { ...told, answer: { kind: 'dead-letter', reason: address.reason }, outcome: 'dead-lettered' };
    }

    const seen: { clientId?: string } = {};
    const after: (() => void)[] = [];
    let request: Request | undefined;
    let mayReply = address.kind === 'direct';
    let reply: Reply;
    let outcome = 'result';
    let cause: unknown;
    try {
      request = readRequest(delivery, address.address);
      checkPrefix(namespaceOf(request), parts.namespacePrefix);
      const signer = await untilAborted(admit(request, address, signal, seen), signal);
      if (address.kind === 'queue') {
        mayReply = isAuthorisedFor(address.namespace, request);
        if (!mayReply) throw new WireError('InputError', 'The reply_to is a queue of another namespace.');
      }
      reply = await untilAborted(
        serve(request, signer, signal, (work) => void after.push(work)),
        signal,
      );
    } catch (error) {
      const wire = toWireError(error);
      outcome = wire.code;
      if (wire !== error) cause = error;
      reply = errorReply(asCorrelationId(delivery.properties.correlationId), wire);
    }
    const namespace = request && namespaceOf(request);
    const summary = {
      method: delivery.routingKey,
      namespace,
      clientId: seen.clientId,
      outcome,
      cause,
      afterReply: after,
    };
    if (mayReply) return { ...summary, answer: { kind: 'reply', address, reply } };
    const reason = `the reply_to is a queue, for which the request is not authorised (${outcome})`;
    return { ...summary, answer: { kind: 'dead-letter', reason } };
  };
}

function checkPrefix(namespace: string | undefined, prefix: string): void {
  if (namespace === undefined || namespace.startsWith(prefix)) return;
  throw new WireError('InputError', `The field namespace must begin with ${prefix}.`, {
    details: { field: 'namespace' },
  });
}

/** Only a signed method with a scope shows that the requester owns the namespace. */
function isAuthorisedFor(namespace: string, request: Request): boolean {
  return METHODS[request.method].scope !== null && namespaceOf(request) === namespace;
}

function namespaceOf(request: Request): string | undefined {
  return 'namespace' in request.body ? request.body.namespace : undefined;
}

function replyKeyOf(request: Request): ReplyKey | undefined {
  return 'replyKey' in request.body ? request.body.replyKey : undefined;
}

/** What cannot be a correlation id is sent back as far as it is text, so that the requester may know its own. */
function asCorrelationId(correlationId: unknown): string {
  return typeof correlationId === 'string' ? asShortText(correlationId) : '';
}

/** Rejects when the signal is aborted, though the work, which can be done again, may still go on. */
function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason);
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
