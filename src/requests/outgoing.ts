import type { Options } from 'amqplib';
import type { RequesterNode } from '../broker/management/requester-nodes.ts';

/** A reply, or a dead letter. */
export interface OutgoingMessage {
  /** `''` for a queue named by the routing key. */
  readonly exchange: string;
  readonly routingKey: string;
  readonly content: Buffer;
  readonly options: Options.Publish;
  /** The node of its receiver; a dead letter has none. */
  readonly node?: RequesterNode;
}

/**
 * The outcome of sending a message:
 * - `confirmed`: the broker has it;
 * - `refused`: the broker rejected it (a full queue), or it closed the connection while it was the only one in flight;
 * - `requester-gone`: it was not sent, because the node of the requester's connection is down.
 */
export type ReplyOutcome = 'confirmed' | 'refused' | 'requester-gone';

/** amqplib's error message for a nack. Any other error means that the channel is closed. */
export const NACKED = 'message nacked';

/** A message whose outcome is not known yet. */
export class Pending {
  readonly message: OutgoingMessage;
  readonly #settle: (outcome: ReplyOutcome) => void;
  readonly #fail: (error: Error) => void;
  readonly #timer: NodeJS.Timeout;
  #isDone = false;

  /** `onLate` is called when there is no outcome after `deadlineMs`. */
  constructor(
    message: OutgoingMessage,
    end: { readonly settle: (outcome: ReplyOutcome) => void; readonly fail: (error: Error) => void },
    deadlineMs: number,
    onLate: (pending: Pending) => void,
  ) {
    this.message = message;
    this.#settle = end.settle;
    this.#fail = end.fail;
    this.#timer = setTimeout(() => onLate(this), deadlineMs);
  }

  get isDone(): boolean {
    return this.#isDone;
  }

  settle(outcome: ReplyOutcome): void {
    this.#end();
    this.#settle(outcome);
  }

  fail(error: Error): void {
    this.#end();
    this.#fail(error);
  }

  #end(): void {
    this.#isDone = true;
    clearTimeout(this.#timer);
  }
}
