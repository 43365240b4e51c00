import type { MethodName, RequestBody, ResultBody } from '../contract/methods.ts';
import type { Signer } from './authenticate.ts';

/** Who asked for something that was done. */
export interface Requester {
  /** The Taskcluster clientId that signed. */
  readonly clientId: string;
  /** As in {@link MethodContext}. */
  readonly userId: string | undefined;
  readonly correlationId: string;
}

/** What a method may use besides its body. */
export interface MethodContext {
  /** Who signed; undefined where the method needs no signature and the request has none. */
  readonly signer: Signer | undefined;
  /** The RabbitMQ user that sent the request, where it set the property `user_id`, which the broker checks. */
  readonly userId: string | undefined;
  readonly correlationId: string;
  /** Ends the work when nobody waits for it any more. */
  readonly signal: AbortSignal;
  /** Does this once the reply is on its way for good, or given up. Not when the agent dies before: others must find it. */
  readonly afterReply: (work: () => void) => void;
}

/** Serves one method. It throws WireError for what the client did wrong, AgentError for what the agent lacks. */
export type MethodHandler<M extends MethodName> = (
  body: RequestBody<M>,
  context: MethodContext,
) => Promise<ResultBody<M>>;

/** The handlers of the methods that this agent serves. */
export type MethodHandlers = { readonly [M in MethodName]?: MethodHandler<M> };
