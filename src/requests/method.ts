import type { METHODS, MethodName, RequestBody, ResultBody } from '../contract/methods.ts';
import type { Signer } from './authenticate.ts';

/** The client of one request, for records and events. */
export interface Requester {
  /** The Taskcluster clientId that signed. */
  readonly clientId: string;
  /** As in {@link MethodContext}. */
  readonly userId: string | undefined;
  readonly correlationId: string;
}

/** Who signed a request for `M`. A method that needs no signature may be called without one. */
export type MethodSigner<M extends MethodName> = (typeof METHODS)[M]['signed'] extends true
  ? Signer
  : Signer | undefined;

/** What a handler knows of a request besides its body. */
export interface MethodContext<M extends MethodName = MethodName> {
  readonly signer: MethodSigner<M>;
  /** The RabbitMQ user that sent the request, if it set the property `user_id`, which RabbitMQ checks. */
  readonly userId: string | undefined;
  readonly correlationId: string;
  /** Aborts at the deadline of the request. */
  readonly signal: AbortSignal;
  /** Runs `work` after the reply is confirmed or abandoned. Best effort: lost on a crash, so a job must cover it. */
  readonly afterReply: (work: () => void) => void;
}

/** Serves one method. Throws WireError for a fault of the client, AgentError for one of the agent or the broker. */
export type MethodHandler<M extends MethodName> = (
  body: RequestBody<M>,
  context: MethodContext<M>,
) => Promise<ResultBody<M>>;

/** The handlers of all methods. */
export type MethodHandlers = { readonly [M in MethodName]: MethodHandler<M> };

/** The requester of a signed request. */
export function requesterOf(context: {
  readonly signer: Signer;
  readonly userId: string | undefined;
  readonly correlationId: string;
}): Requester {
  const { signer, userId, correlationId } = context;
  return { clientId: signer.clientId, userId, correlationId };
}
