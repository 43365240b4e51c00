/** Credentials that an agent handed out, and what that promised. Times are in ms since the epoch, by this machine's clock. */
export interface Credential {
  readonly namespace: string;
  readonly username: string;
  readonly password: string;
  /** When the latest claim that returned it was answered. */
  receivedMs: number;
  /** The latest `reclaimAt` that came with it. */
  reclaimMs: number;
}

/** What became of a login. */
export type LoginOutcome = 'opened' | 'refused' | 'unreachable';

/** The outcome of a login that breaks a promise, as a sentence. */
export type Breach = string | undefined;

/** A release or a revocation, which ends the promises of a namespace. */
export interface Ending {
  /** A revocation was served: the credentials from before are invalid. */
  revoked(nowMs: number): void;
  /** A release was served: the deletion has begun. */
  released(nowMs: number): void;
  /** The deletion is over. */
  gone(nowMs: number): void;
  /** It may have been served, or be served later. */
  unknown(nowMs: number): void;
}

interface KnownEnding {
  readonly sentMs: number;
  /** Credentials from a claim that was answered before this may be those from before. */
  clearMs: number;
  /** From then on, earlier credentials open no connection; Infinity: not known. */
  deadMs: number;
}

/** A claim that was sent before an ending is answered within this time, or its client has given it up, in ms. */
const CLAIM_MS = 16_000;

/** How long a request whose outcome is unknown may still be served, in ms: it waits in its queue, or its agent stands still. */
const UNKNOWN_MS = 75_000;

/** What is over for this long is forgotten, in ms. */
const FORGET_MS = 240_000;

/**
 * What was promised, seen from outside: each credential opens a connection until its `reclaimAt`, unless its namespace was
 * released or revoked before; and then it opens none.
 *
 * @param settlementMs how long after a revocation or a deletion its credentials may still open a connection
 */
export class Ledger {
  readonly #settlementMs: number;
  readonly #credentials = new Map<string, Credential>();
  readonly #endings = new Map<string, KnownEnding[]>();
  /** For each password that was ever handed out, its namespace. */
  readonly #passwords = new Map<string, string>();

  constructor(settlementMs: number) {
    this.#settlementMs = settlementMs;
  }

  /** All credentials that are remembered. */
  get credentials(): readonly Credential[] {
    return [...this.#credentials.values()];
  }

  /** The namespace of a password that was ever handed out. */
  namespaceOfPassword(password: string): string | undefined {
    return this.#passwords.get(password);
  }

  /** Records the answer of a claim. */
  handedOut(claim: Omit<Credential, 'receivedMs'>, nowMs: number): void {
    const key = `${claim.username} ${claim.password}`;
    const known = this.#credentials.get(key);
    if (known === undefined) {
      this.#credentials.set(key, { ...claim, receivedMs: nowMs });
      this.#passwords.set(claim.password, claim.namespace);
      return;
    }
    known.receivedMs = nowMs;
    known.reclaimMs = Math.max(known.reclaimMs, claim.reclaimMs);
  }

  /** Call it before a release or a revocation is sent. */
  ending(namespace: string, nowMs: number): Ending {
    const ending: KnownEnding = { sentMs: nowMs, clearMs: Infinity, deadMs: Infinity };
    const all = this.#endings.get(namespace) ?? [];
    this.#endings.set(namespace, [...all, ending]);
    return {
      revoked: (doneMs) => {
        ending.clearMs = doneMs + CLAIM_MS;
        ending.deadMs = doneMs + this.#settlementMs;
      },
      released: (doneMs) => {
        ending.clearMs = doneMs + CLAIM_MS;
      },
      gone: (goneMs) => {
        ending.deadMs = goneMs + this.#settlementMs;
      },
      unknown: (sinceMs) => {
        ending.clearMs = sinceMs + UNKNOWN_MS;
      },
    };
  }

  /** Until when it has to open a connection. */
  promisedUntilMs({ namespace, receivedMs, reclaimMs }: Credential): number {
    const endings = this.#endings.get(namespace) ?? [];
    const ends = endings.filter(({ clearMs }) => receivedMs < clearMs).map(({ sentMs }) => sentMs);
    return Math.min(reclaimMs, ...ends);
  }

  /** Whether a credential of the namespace has to open a connection at this instant. */
  isPromised(namespace: string, atMs: number): boolean {
    return this.credentials.some(
      (one) => one.namespace === namespace && one.receivedMs < atMs && this.promisedUntilMs(one) > atMs,
    );
  }

  /** From when on it has to be refused; Infinity: it need not be. */
  deadFromMs({ namespace, receivedMs }: Credential): number {
    const endings = this.#endings.get(namespace) ?? [];
    return Math.min(Infinity, ...endings.filter(({ sentMs }) => receivedMs < sentMs).map(({ deadMs }) => deadMs));
  }

  /** Whether the outcome of a login breaks a promise. */
  judge(credential: Credential, outcome: LoginOutcome, { startMs, endMs }: { startMs: number; endMs: number }): Breach {
    const promisedMs = this.promisedUntilMs(credential);
    if (outcome === 'refused' && credential.receivedMs < startMs && endMs < promisedMs) {
      return `${credential.username} was refused ${seconds(credential.reclaimMs - endMs)} before its reclaimAt.`;
    }
    const deadMs = this.deadFromMs(credential);
    if (outcome === 'opened' && startMs > deadMs) {
      const since = seconds(startMs - deadMs + this.#settlementMs);
      return `${credential.username} opened a connection ${since} after its release or revocation.`;
    }
    return undefined;
  }

  /** Forgets what is over, so that a long run does not grow. */
  forget(nowMs: number): void {
    for (const [key, credential] of this.#credentials) {
      if (Math.max(credential.reclaimMs, credential.receivedMs) < nowMs - FORGET_MS) this.#credentials.delete(key);
    }
    for (const [namespace, endings] of this.#endings) {
      // An ending is needed for as long as one of its credentials is remembered.
      const kept = endings.filter(({ sentMs }) => sentMs > nowMs - 4 * FORGET_MS);
      if (kept.length === 0) this.#endings.delete(namespace);
      else this.#endings.set(namespace, kept);
    }
  }
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
