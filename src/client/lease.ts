import { EventEmitter } from 'node:events';
import { parseInstant } from '../contract/fields.ts';
import type { ResultBody } from '../contract/methods.ts';
import { decideAfterFailure, decideRenewal, type HeldClaim, type LossReason } from './decide-lease.ts';
import { BrokerRefused, ClientClosed, ClockSkew, LeaseLost, PulseAgentError, Unavailable } from './client-errors.ts';
import type { Time } from './time.ts';

type Claim = ResultBody<'claim-namespace'>;

/** What the client gives a lease to work with. */
export interface LeaseParts {
  /** Claims once more, with the client's own tries. */
  claim(signal: AbortSignal): Promise<Claim>;
  /**
   * Claims over a connection with the credentials that are held.
   *
   * @throws BrokerRefused when RabbitMQ refuses them.
   */
  claimWith(connectionString: string, signal: AbortSignal): Promise<Claim>;
  release(): Promise<unknown>;
  stopped(lease: Lease): void;
  readonly time: Time;
}

/** What the events of a lease tell. No credentials are in them. */
export interface LeaseEvents {
  /** New time was given: `changed` when the credentials are others than before. */
  renewed: [{ readonly changed: boolean; readonly reclaimAt: Date; readonly expires: Date }];
  /** Renewing failed and is tried again. The credentials are promised to work until `reclaimAt`. */
  failing: [
    { readonly error: PulseAgentError; readonly failures: number; readonly retryAt: Date; readonly reclaimAt: Date },
  ];
  /** The credentials can no longer be valid; the lease has ended. */
  lost: [LeaseLost];
}

/** What `taskcluster-lib-pulse` takes. */
export interface PulseCredentials {
  readonly connectionString: string;
  /** When to open a new connection. */
  readonly recycleAt: Date;
}

/**
 * A moment on both clocks; it has come when one of them says so. The wall clock may be set back, and the other may stand
 * still while the machine is suspended.
 */
interface Moment {
  readonly wallMs: number;
  readonly monotonicMs: number;
}

/** Longest sleep without a look at the clock, in ms: a machine that was suspended or whose clock was set is noticed. */
const LOOK_EVERY_MS = 30_000;

/** How long {@link Lease.credentials} gives what it holds without claiming again, in ms. */
const FRESH_MS = 2000;

/** How long {@link Lease.credentials} waits for a claim before it gives what it holds, in ms. */
const PATIENCE_MS = 5000;

/** While no agent answers, connections need not be replaced sooner than this, in ms. */
const RECYCLE_AFTER_MS = 300_000;

const REASONS: Readonly<Record<LossReason, string>> = {
  scopes: 'its scope is no longer there',
  'taken-away': 'the namespace is being deleted or is revoked',
  expired: 'its time is over and no claim succeeded',
  refused: 'no claim succeeded in time, and RabbitMQ refuses the credentials',
};

/**
 * A namespace that is claimed again in time, for as long as the lease is held. Made by `PulseAgentClient.lease`.
 *
 * Listen to `lost`: then the credentials are of no use any more, and only a new lease gives others. `failing` is for
 * the log: the credentials still work.
 *
 * @example
 * lease.on('renewed', ({ changed, reclaimAt }) => console.log(changed, reclaimAt.toISOString()));
 */
export class Lease extends EventEmitter<LeaseEvents> {
  readonly #parts: LeaseParts;
  readonly #ending = new AbortController();
  readonly #running: Promise<void>;
  #claim: Claim;
  #held: HeldClaim;
  #next: Moment;
  #failures = 0;
  #renewing: Promise<void> | undefined;
  #wake = new AbortController();

  /** @internal */
  constructor(first: Claim, parts: LeaseParts) {
    super();
    this.#parts = parts;
    this.#claim = first;
    this.#held = this.#heldBy(first);
    this.#next = this.#momentAt(decideRenewal(this.#held, parts.time.random()));
    this.#running = this.#run();
  }

  /** The namespace. */
  get namespace(): string {
    return this.#claim.namespace;
  }

  /** The AMQP URL with the present credentials. It is a secret. */
  get connectionString(): string {
    return this.#claim.connectionString;
  }

  /** Until when the present credentials are promised to work. */
  get reclaimAt(): Date {
    return new Date(this.#held.reclaimMs);
  }

  /** When the namespace is deleted unless it is claimed again. */
  get expires(): Date {
    return new Date(this.#held.expiresMs);
  }

  /**
   * The credentials for a new connection, as `taskcluster-lib-pulse` asks for them: hand this function to it as it is.
   * It claims again first, because a connection may have been lost to a revocation; when no agent answers within five
   * seconds, it gives what is held.
   *
   * @throws LeaseLost, or ClientClosed when the lease was stopped.
   */
  readonly credentials = async (): Promise<PulseCredentials> => {
    const { time } = this.#parts;
    this.#throwIfOver();
    if (this.#failures === 0 && time.nowMs() - this.#held.claimedMs > FRESH_MS) {
      const patience = new AbortController();
      const ended = AbortSignal.any([patience.signal, this.#ending.signal]);
      await Promise.race([this.#renew(), time.sleep(PATIENCE_MS, ended).catch(() => undefined)]);
      patience.abort();
      this.#throwIfOver();
    }
    const recycleMs = Math.max(this.#held.reclaimMs, this.#failures === 0 ? 0 : time.nowMs() + RECYCLE_AFTER_MS);
    return { connectionString: this.#claim.connectionString, recycleAt: new Date(recycleMs) };
  };

  /** Claims no more; with `releaseCommand`, the namespace is ended as well, with all that it owns. */
  async stop({ release = false }: { readonly release?: boolean } = {}): Promise<void> {
    this.#end(new ClientClosed('The lease was stopped.'));
    await this.#running;
    if (release) await this.#parts.release();
  }

  async #run(): Promise<void> {
    const { signal } = this.#ending;
    while (!signal.aborted) {
      const { time } = this.#parts;
      const leftMs = Math.min(this.#next.wallMs - time.nowMs(), this.#next.monotonicMs - time.monotonicMs());
      if (leftMs <= 0) {
        await this.#renew();
        continue;
      }
      this.#wake = new AbortController();
      // Not a signal made of two: every one leaves something behind in the one that lives as long as the lease.
      await time.sleep(Math.min(leftMs, LOOK_EVERY_MS), this.#wake.signal).catch(() => undefined);
    }
  }

  /** One renewal at a time, whoever asks for it; it never rejects. */
  async #renew(): Promise<void> {
    this.#renewing ??= this.#renewOnce().finally(() => {
      this.#renewing = undefined;
      this.#wake.abort();
    });
    await this.#renewing;
  }

  async #renewOnce(): Promise<void> {
    if (this.#ending.signal.aborted) return;
    try {
      this.#renewed(await this.#parts.claim(this.#ending.signal));
    } catch (cause) {
      if (this.#ending.signal.aborted) return;
      await this.#failed(asError(cause));
    }
  }

  #renewed(claim: Claim): void {
    if (this.#ending.signal.aborted) return;
    const changed = claim.connectionString !== this.#claim.connectionString;
    this.#claim = claim;
    this.#held = this.#heldBy(claim);
    this.#failures = 0;
    this.#next = this.#momentAt(decideRenewal(this.#held, this.#parts.time.random()));
    this.#tell('renewed', { changed, reclaimAt: this.reclaimAt, expires: this.expires });
  }

  async #failed(error: PulseAgentError): Promise<void> {
    const { time } = this.#parts;
    const asked = await this.#claimAsHolder(error);
    if (this.#ending.signal.aborted || asked === 'renewed') return;
    this.#failures += 1;
    const decision = decideAfterFailure(this.#held, {
      code: asked.error.code,
      failures: this.#failures,
      credentialsRefused: asked.refused,
      nowMs: time.nowMs(),
      aheadMs: asked.error instanceof ClockSkew ? asked.error.aheadMs : undefined,
      random: time.random(),
    });
    if (decision.next === 'lost') {
      this.#lose(decision.reason, asked.error);
      return;
    }
    this.#next = this.#momentAt(decision.atMs);
    const [retryAt, { reclaimAt }] = [new Date(decision.atMs), this];
    this.#tell('failing', { error: asked.error, failures: this.#failures, retryAt, reclaimAt });
  }

  /**
   * The claimant may have another password by now, or no connection to spare, where the credentials that are held have.
   * And after `reclaimAt`, whether they still work is known by using them.
   */
  async #claimAsHolder(error: PulseAgentError): Promise<'renewed' | { error: PulseAgentError; refused?: boolean }> {
    const promised = this.#parts.time.nowMs() < this.#held.reclaimMs;
    if (isFinal(error) || (promised && !(error instanceof BrokerRefused))) return { error };
    try {
      this.#renewed(await this.#parts.claimWith(this.#claim.connectionString, this.#ending.signal));
      return 'renewed';
    } catch (own) {
      const refused = own instanceof BrokerRefused;
      return { error: error instanceof BrokerRefused && !refused ? asError(own) : error, refused };
    }
  }

  #lose(reason: LossReason, cause: PulseAgentError): void {
    const message = `The lease of ${this.namespace} is lost: ${REASONS[reason]}. ${cause.message}`;
    const lost = new LeaseLost(message, { details: { reason, namespace: this.namespace }, cause });
    this.#end(lost);
    this.#tell('lost', lost);
  }

  #end(reason: PulseAgentError): void {
    if (this.#ending.signal.aborted) return;
    this.#ending.abort(reason);
    this.#wake.abort();
    this.#parts.stopped(this);
  }

  #momentAt(wallMs: number): Moment {
    const { time } = this.#parts;
    return { wallMs, monotonicMs: time.monotonicMs() + wallMs - time.nowMs() };
  }

  /** Later, so that a listener that throws is the program's affair and does not look like a claim that failed. */
  #tell<E extends keyof LeaseEvents>(event: E, ...told: LeaseEvents[E]): void {
    process.nextTick(() => (this as EventEmitter).emit(event, ...told));
  }

  #throwIfOver(): void {
    this.#ending.signal.throwIfAborted();
  }

  #heldBy({ reclaimAt, expires }: Claim): HeldClaim {
    const claimedMs = this.#parts.time.nowMs();
    return {
      claimedMs,
      reclaimMs: parseInstant(reclaimAt) ?? claimedMs,
      expiresMs: parseInstant(expires) ?? claimedMs,
    };
  }
}

/** Whether the agent has said that there is nothing to hold any more. */
function isFinal({ code }: PulseAgentError): boolean {
  return code === 'InsufficientScopes' || code === 'RequestConflict';
}

function asError(error: unknown): PulseAgentError {
  if (error instanceof PulseAgentError) return error;
  // Such as what a function that gives credentials has thrown.
  const message = error instanceof Error ? error.message : 'The claim failed for an unknown reason.';
  return new Unavailable('Unavailable', message, { cause: error });
}
