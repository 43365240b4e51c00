import type { ReplyLocation, RequesterNode } from '../broker/management/requester-nodes.ts';
import { acceptedScopes, isRepeatable, METHODS, type MethodName } from '../contract/methods.ts';
import { errorReply, type Reply, resultReply, sealedReply } from '../contract/reply.ts';
import type { ReplyKey } from '../contract/reply-key.ts';
import { seal } from '../contract/sealing.ts';
import { WireError } from '../contract/wire-errors.ts';
import { AGENT_ERRORS, type AgentErrorEntry, AgentError } from '../util/agent-errors.ts';
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
  | { readonly kind: 'reply'; readonly address: string; readonly node: RequesterNode; readonly reply: Reply }
  | { readonly kind: 'dead-letter'; readonly reason: string }
  | { readonly kind: 'drop'; readonly reason: string }
  | { readonly kind: 'requester-gone'; readonly reason: string };

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
  /** Where the process of a direct reply-to address is. */
  readonly locateReplyAddress: (address: string) => Promise<ReplyLocation>;
  /** Whether the requester is known to have lost its connection since. */
  readonly isRequesterGone: (node: RequesterNode) => boolean;
  /** Calls `check` whenever a requester may be known to be gone. */
  readonly onRequestersGone: (check: () => void) => void;
}

/** Why a request, or its reply, is dropped when the node of the requester's connection is down. */
export const REQUESTER_GONE = 'the node of its requester is down';

/** Ends the work on a request that its client repeats: no process is left that could get the reply. */
const GONE = new Error(REQUESTER_GONE);

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
  const { rpcExchange, namespacePrefix, handlers, authenticate, limitRequests, locateReplyAddress, isRequesterGone } =
    parts;

  /** What is served now, and need not be if its requester goes. */
  const inProgress = new Set<{ readonly node: RequesterNode; readonly deadline: Deadline }>();
  parts.onRequestersGone(() => {
    for (const { node, deadline } of inProgress) if (isRequesterGone(node)) deadline.end(GONE);
  });

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
      address = await deadline.race(classifyReplyAddress(replyTo, locateReplyAddress));
    } catch (cause) {
      // No error reply either: publishing to a forged address would close the connection.
      return unread(delivery, { kind: 'dead-letter', reason: 'the reply_to could not be checked' }, cause);
    }
    if (address.kind === 'refused') return unread(delivery, { kind: 'dead-letter', reason: address.reason });
    // Its client asks again, over another node; to serve it as well would make those wait who can be answered.
    if (address.kind === 'gone' && isRepeatable(delivery.routingKey)) {
      return unread(delivery, { kind: 'requester-gone', reason: REQUESTER_GONE });
    }

    const progress: Progress = { request: undefined, clientId: undefined, nonce: undefined, afterReply: [] };
    const entry = { node: address.node, deadline };
    if (isRepeatable(delivery.routingKey)) inProgress.add(entry);
    const { reply, outcome, cause } = await serve(delivery, address.address, deadline, progress).then(
      (result) => ({ reply: result, outcome: 'result', cause: undefined }),
      async (error: unknown) => {
        if (error === GONE) return { reply: undefined, outcome: 'requester-gone', cause: undefined };
        return failure(delivery, await onceStored(progress.nonce, error));
      },
    );
    inProgress.delete(entry);
    progress.nonce?.end();
    return {
      answer:
        reply === undefined
          ? { kind: 'requester-gone', reason: REQUESTER_GONE }
          : { kind: 'reply', address: address.address, node: address.node, reply },
      method: delivery.routingKey,
      namespace: progress.request && namespaceOf(progress.request),
      clientId: progress.clientId,
      outcome,
      cause,
      afterReply: progress.afterReply,
    };
  };
}

const UNREAD_OUTCOMES = {
  drop: 'dropped',
  'dead-letter': 'dead-lettered',
  'requester-gone': 'requester-gone',
} as const;

/** The answer to a delivery that was not read as a request. */
function unread(
  { routingKey }: Delivery,
  answer: Exclude<Answer, { kind: 'reply' }>,
  cause?: unknown,
): AnsweredRequest {
  const outcome = UNREAD_OUTCOMES[answer.kind];
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
    const { wire, meaning, tryAgain = 'in a few seconds' }: AgentErrorEntry = AGENT_ERRORS[error.code];
    const details = error.details === undefined ? {} : { details: { ...error.details } };
    return new WireError(wire, `${meaning} Try again ${tryAgain}.`, { cause: error, ...details });
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
  const accepted = namespace === undefined ? [] : acceptedScopes(request.method, namespace);
  const [required] = accepted;
  if (required === undefined || signer === undefined) return;
  if (accepted.some((scope) => scopesSatisfy(signer.scopes, scope))) return;
  const needs = accepted.join(' or ');
  throw new WireError('InsufficientScopes', `The client ${signer.clientId} needs the scope ${needs}.`, {
    details: { required, clientId: signer.clientId },
  });
}

function namespaceOf({ body }: Request): string | undefined {
  return 'namespace' in body ? body.namespace : undefined;
}

function replyKeyOf(body: Request['body']): ReplyKey | undefined {
  return 'replyKey' in body ? body.replyKey : undefined;
}
