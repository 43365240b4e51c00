import { once } from 'node:events';
import type { Time } from '../client/time.ts';

/** What is published. */
export interface Publication {
  /** The text for the file. */
  readonly text: string;
  /** The programs are notified when these differ from those before. */
  readonly credentials: string;
}

/** What a publisher did, or could not do and tries again. */
export type PublisherEvent =
  | { readonly event: 'written' | 'notified' }
  | {
      readonly event: 'write-failing' | 'notify-failing';
      readonly error: unknown;
      readonly failures: number;
      readonly retryAt: Date;
    };

/** What a publisher works with. */
export interface PublisherParts {
  /** What is to be published now; undefined: nothing, because the lease is over. */
  readonly current: () => Publication | undefined;
  readonly write: (text: string) => Promise<void>;
  /** Notifies the programs of what is written; absent: nothing is to be notified. */
  readonly notify?: ((signal: AbortSignal) => Promise<void>) | undefined;
  /** Whether it notifies of the first credentials, too. */
  readonly notifiesFirst: boolean;
  readonly report: (event: PublisherEvent) => void;
  readonly time: Pick<Time, 'nowMs' | 'sleep'>;
}

const LONGEST_PAUSE_MS = 30_000;

/**
 * Writes credentials and then notifies programs, one after the other, at the start and after each change. What fails is
 * tried again until it succeeds, or until there is something newer: a change during a write or a notification is published
 * after it, and only the latest one.
 */
export class CredentialsPublisher {
  readonly #parts: PublisherParts;
  readonly #stopping = new AbortController();
  #wake = new AbortController();
  #running: Promise<void> = Promise.resolve();
  #written: string | undefined;
  #notified: string | undefined;
  #failures = 0;

  constructor(parts: PublisherParts) {
    this.#parts = parts;
  }

  /** Writes the first credentials. Rejects if that fails. Notifying them is tried again as for all others. */
  async start(): Promise<void> {
    const first = this.#parts.current();
    if (first === undefined) return;
    await this.#write(first.text);
    if (!this.#parts.notifiesFirst) this.#notified = first.credentials;
    this.#running = this.#run();
  }

  /** Publishes what is current, unless it is published. */
  changed(): void {
    this.#wake.abort();
  }

  /** Stops: a write is finished, a notification is ended. */
  async close(): Promise<void> {
    this.#stopping.abort();
    this.#wake.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      // From before the read, so that no change during the work is missed.
      this.#wake = new AbortController();
      const failed = await this.#publish(signal);
      if (signal.aborted) return;
      if (failed === undefined) await woken(this.#wake.signal);
      else await this.#pause(failed);
    }
  }

  /** Returns what failed. */
  async #publish(signal: AbortSignal): Promise<Failed | undefined> {
    const current = this.#parts.current();
    if (current === undefined) return undefined;
    const { notify, report } = this.#parts;
    try {
      if (current.text !== this.#written) await this.#write(current.text);
    } catch (error) {
      return { event: 'write-failing', error };
    }
    try {
      if (current.credentials === this.#notified || notify === undefined || signal.aborted) return undefined;
      await notify(signal);
      this.#notified = current.credentials;
      this.#failures = 0;
      report({ event: 'notified' });
      return undefined;
    } catch (error) {
      return { event: 'notify-failing', error };
    }
  }

  async #write(text: string): Promise<void> {
    await this.#parts.write(text);
    this.#written = text;
    this.#failures = 0;
    this.#parts.report({ event: 'written' });
  }

  async #pause(failed: Failed): Promise<void> {
    const { report, time } = this.#parts;
    const pauseMs = Math.min(1000 * 2 ** this.#failures, LONGEST_PAUSE_MS);
    this.#failures += 1;
    report({ ...failed, failures: this.#failures, retryAt: new Date(time.nowMs() + pauseMs) });
    await time.sleep(pauseMs, this.#wake.signal).catch(() => undefined);
  }
}

interface Failed {
  readonly event: 'write-failing' | 'notify-failing';
  readonly error: unknown;
}

async function woken(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, 'abort');
}
