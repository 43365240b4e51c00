import { METHODS, type MethodName } from '../contract/methods.ts';
import { errorReply, type Reply, resultReply, sealedReply } from '../contract/reply.ts';
import type { ReplyKey } from '../contract/reply-key.ts';
import { seal } from '../contract/sealing.ts';
import { WireError } from '../contract/wire-errors.ts';
import { AGENT_ERRORS, AgentError } from '../util/agent-errors.ts';
import { type Deadline, rejectAfter } from '../util/deadline.ts';
import type { SignedRequest, Signer } from './authenticate.ts';
import type { MethodContext, MethodHandlers, MethodSigner } from './method.ts';
import type { NonceUse } from './nonce-use.ts';
import { classifyReplyAddress, type ReplyAddress } from './reply-address.ts';
import type { LimitRequests } from './limit-requests.ts';
import { type Delivery, isDeadLettered, readRequest, type Request } from './request.ts';
import { toShortString } from './short-string.ts';
import { scopesSatisfy } from './taskcluster-auth.ts';

/** What to do with a delivery. */
export type Answer =
  | { readonly kind: 'reply'; readonly address: string; readonly reply: Reply }
  | { readonly kind: 'dead-letter'; readonly reason: string }
  | { readonly kind: 'drop'; readonly reason: string };

/** An answer, and what the log line of the request says. */
export interface AnsweredRequest {
  readonly answer: Answer;
  readonly method: string;
  readonly namespace: string | undefined;
  readonly clientId: string | undefined;
  /** `result` or the code of the error. */
  readonly outcome: string;
  /** The error, if it is not the client's fault. */
  readonly cause: unknown;
  /** What the method does after the reply. */
  readonly afterReply: readonly (() => void)[];
}

/** What {@link createAnswer} works with. */
export interface AnswerParts {
  readonly rpcExchange: string;
  readonly namespacePrefix: string;
  readonly handlers: MethodHandlers;
  readonly authenticate: (request: SignedRequest, signal: AbortSignal) => Promise<Signer>;
  readonly limitRequests: LimitRequests;
  /** Whether a running node can have written this direct reply-to address. */
  readonly isLiveReplyAddress: (address: string) => Promise<boolean>;
}

/** How long an error waits for its nonce to be stored, in ms. The deadline of the request may have passed already. */
const STORE_NONCE_MS = 300;

/** What is known about a request so far. It outlives a step that fails. */
interface Progress {
  request: Request | undefined;
  clientId: string | undefined;
  nonce: NonceUse | undefined;
  readonly afterReply: (() => void)[];
}

/**
 * Makes the function that turns a delivery into an answer. It never throws: a failure becomes an error reply, or a dead
 * letter if the reply address is not usable.
 */
export function createAnswer(parts: AnswerParts): (delivery: Delivery, deadline: Deadline) => Promise<AnsweredRequest> {
  const { rpcExchange, namespacePrefix, handlers, authenticate, limitRequests, isLiveReplyAddress } = parts;

  /** Who signed, if the request is signed or its method needs a signature. */
  const signerOf = async <M extends MethodName>(request: Request<M>, signal: AbortSignal): Promise<MethodSigner<M>> => {
    if (!METHODS[request.method].signed && request.authorization === undefined) return undefined as MethodSigner<M>;
    return await authenticate(request, signal);
  };

  const callHandler = async <M extends MethodName>(
    { method, body, userId, correlationId }: Request<M>,
    context: Pick<MethodContext<M>, 'signer' | 'signal' | 'afterReply'>,
  ): Promise<Reply> => {
    const json = JSON.stringify(await handlers[method](body, { ...context, userId, correlationId }));
    const replyKey = replyKeyOf(body);
    return replyKey === undefined ? resultReply(correlationId, json) : sealedReply(correlationId, seal(json, replyKey));
  };

  /** The reply with the result. Notes in `progress` what the answer needs even if a later step fails. */
  const serve = async (delivery: Delivery, address: string, deadline: Deadline, progress: Progress): Promise<Reply> => {
    const { signal } = deadline;
    const request = readRequest(delivery, address);
    progress.request = request;
    checkPrefix(request, namespacePrefix);
    const signer = await deadline.race(signerOf(request, signal));
    progress.clientId = signer?.clientId;
    progress.nonce = signer?.nonce;
    // A redelivered request that was served already gets its answer.
    if (signer !== undefined && signer.nonce.entry.outcome === null) limitRequests(signer.clientId);
    checkScope(request, signer);
    const afterReply = (work: () => void): void => void progress.afterReply.push(work);
    const reply = await deadline.race(callHandler(request, { signer, signal, afterReply }));
    if (signer?.nonce.isStored === false) await deadline.race(signer.nonce.remember());
    return reply;
  };

  return async (delivery, deadline) => {
    if (delivery.exchange !== rpcExchange) {
      return unread(delivery, { kind: 'drop', reason: 'it did not come through the request exchange' });
    }
    if (isDeadLettered(delivery)) return unread(delivery, { kind: 'drop', reason: 'it was dead-lettered by RabbitMQ' });
    let address: ReplyAddress;
    try {
      const { replyTo } = delivery.properties;
      address = await deadline.race(classifyReplyAddress(replyTo, isLiveReplyAddress));
    } catch (cause) {
      // No error reply either: publishing to a forged address would close the connection.
      return unread(delivery, { kind: 'dead-letter', reason: 'the reply_to could not be checked' }, cause);
    }
    if (address.kind === 'refused') return unread(delivery, { kind: 'dead-letter', reason: address.reason });

    const progress: Progress = { request: undefined, clientId: undefined, nonce: undefined, afterReply: [] };
    const { reply, outcome, cause } = await serve(delivery, address.address, deadline, progress).then(
      (result) => ({ reply: result, outcome: 'result', cause: undefined }),
      async (error: unknown) => failure(delivery, await onceStored(progress.nonce, error)),
    );
    progress.nonce?.end();
    return {
      answer: { kind: 'reply', address: address.address, reply },
      method: delivery.routingKey,
      namespace: progress.request && namespaceOf(progress.request),
      clientId: progress.clientId,
      outcome,
      cause,
      afterReply: progress.afterReply,
    };
  };
}

/** The answer to a delivery that was not read as a request. */
function unread(
  { routingKey }: Delivery,
  answer: Answer & { kind: 'drop' | 'dead-letter' },
  cause?: unknown,
): AnsweredRequest {
  const outcome = answer.kind === 'drop' ? 'dropped' : 'dead-lettered';
  return { answer, method: routingKey, namespace: undefined, clientId: undefined, outcome, cause, afterReply: [] };
}

/**
 * `error`, once the nonce of the refused request is stored: after any answer the request is refused at another reply address.
 * If the nonce cannot be stored, that error.
 */
async function onceStored(nonce: NonceUse | undefined, error: unknown): Promise<unknown> {
  if (nonce === undefined || nonce.isStored) return error;
  try {
    await rejectAfter(STORE_NONCE_MS, nonce.remember());
    return error;
  } catch (failed) {
    return failed;
  }
}

function failure({ properties }: Delivery, error: unknown): { reply: Reply; outcome: string; cause: unknown } {
  const wireError = toWireError(error);
  // An invalid correlation id is returned as far as it is text: the client may recognise it.
  const id: unknown = properties.correlationId;
  return {
    reply: errorReply(typeof id === 'string' ? toShortString(id) : '', wireError),
    outcome: wireError.code,
    cause: wireError === error ? undefined : error,
  };
}

/** The error for the client: its own fault unchanged, a failure of the agent by its meaning alone. */
export function toWireError(error: unknown): WireError {
  if (error instanceof WireError) return error;
  if (error instanceof AgentError) {
    const { wire, meaning } = AGENT_ERRORS[error.code];
    return new WireError(wire, `${meaning} Try again in a few seconds.`, { cause: error });
  }
  if (error instanceof Error && (error.name === 'TimeoutError' || error.name === 'AbortError')) {
    return new WireError('Unavailable', 'The agent could not finish in time. Try again in a few seconds.', {
      cause: error,
    });
  }
  return new WireError(
    'InternalServerError',
    "Internal error of the agent. Its log has the cause under this request's correlation id.",
    { cause: error },
  );
}

function checkPrefix(request: Request, prefix: string): void {
  if (namespaceOf(request)?.startsWith(prefix) ?? true) return;
  throw new WireError('InputError', `The field namespace must begin with ${prefix}.`, {
    details: { field: 'namespace' },
  });
}

function checkScope(request: Request, signer: Signer | undefined): void {
  const namespace = namespaceOf(request);
  const required = namespace === undefined ? undefined : METHODS[request.method].scope?.(namespace);
  if (required === undefined || signer === undefined || scopesSatisfy(signer.scopes, required)) return;
  throw new WireError('InsufficientScopes', `The client ${signer.clientId} needs the scope ${required}.`, {
    details: { required, clientId: signer.clientId },
  });
}

function namespaceOf({ body }: Request): string | undefined {
  return 'namespace' in body ? body.namespace : undefined;
}

function replyKeyOf(body: Request['body']): ReplyKey | undefined {
  return 'replyKey' in body ? body.replyKey : undefined;
}
