import { isAgentError } from '../../util/agent-errors.ts';
import { systemClock } from '../../util/clock.ts';
import { backoffMs, withJitter } from '../../util/retry.ts';
import { AddressFault } from './management-refusals.ts';
import type { ManagementCallOptions, ManagementHttp, ManagementResponse } from './management-http.ts';

/** How to use several addresses of the management API. */
export interface FailoverOptions {
  /** The time-out of a call that has none of its own, in ms. */
  readonly timeoutMs: number;
  /** Called when no address answers any more, and when one does again. */
  readonly onReachable?: ((isReachable: boolean) => void) | undefined;
  readonly monotonicMs?: () => number;
  /** At least 0, less than 1. */
  readonly random?: () => number;
}

/** An address is probed when calls wait for it, and nothing has come from it for this long, in ms. */
const QUIET_MS = 1_000;

/** How long the probe may take, in ms. A call of 5 s has then half of its time left for another address. */
const PROBE_TIMEOUT_MS = 1_500;

/** The pauses between two probes of an address that does not work, in ms. Nothing else is sent to it meanwhile. */
const PROBE_PAUSES = { firstMs: 1_000, maxMs: 15_000 } as const;

/**
 * Sends each call to the first address that works. A call that gets no answer from one is sent to the next within its
 * time-out: all calls are idempotent, a repeated one carries the same values, and `beforeSend` comes before each sending, so
 * that no write leaves after its window. An address that does not work gets probes only, until one is answered.
 *
 * @param addresses in the order of preference, at least one. Each confirms what is missing by itself, so that no answer is
 * judged by one of another node
 */
export function createFailoverHttp(addresses: readonly ManagementHttp[], options: FailoverOptions): ManagementHttp {
  const now = options.monotonicMs ?? (() => systemClock.monotonicMs());
  const { timeoutMs: defaultTimeoutMs, onReachable, random = Math.random } = options;
  let isClosed = false;
  let isReachable = true;
  const reportReachable = (): void => {
    const reachable = all.some(({ isUp }) => isUp);
    if (reachable === isReachable || isClosed) return;
    isReachable = reachable;
    onReachable?.(reachable);
  };
  const all = addresses.map((http) => createWatchedAddress(http, { now, random, onChange: reportReachable }));
  let answered = all[0] as WatchedAddress;

  /** Those that work in the order of preference, then the others: an answer that comes after all is better than none. */
  const inOrder = (): WatchedAddress[] => [...all.filter(({ isUp }) => isUp), ...all.filter(({ isUp }) => !isUp)];

  const sendInTurn = async (
    callOptions: ManagementCallOptions,
    send: (http: ManagementHttp, options: ManagementCallOptions) => Promise<ManagementResponse>,
    mayRepeat: () => boolean,
  ): Promise<ManagementResponse> => {
    const untilMs = now() + (callOptions.timeoutMs ?? defaultTimeoutMs);
    const errors: unknown[] = [];
    for (const address of inOrder()) {
      const leftMs = untilMs - now();
      if (errors.length > 0 && leftMs <= 0) break;
      const isLast = errors.length === all.length - 1;
      try {
        const response = await address.call(callOptions, Math.max(1, Math.round(leftMs)), send, isLast);
        answered = address;
        return errors.length === 0 ? response : { ...response, isRepeated: true };
      } catch (error) {
        callOptions.signal?.throwIfAborted();
        if (!(error instanceof AddressFault || isAgentError(error, 'BrokerUnavailable')) || !mayRepeat()) throw error;
        errors.push(error);
      }
    }
    // An operator can act on a refusal, such as that of a certificate.
    throw errors.find((error) => isAgentError(error, 'BrokerRefused')) ?? errors.at(-1);
  };

  return {
    get shownUrl() {
      return answered.http.shownUrl;
    },
    send: (request, callOptions = {}) =>
      sendInTurn(
        callOptions,
        (http, own) => http.send(request, own),
        () => true,
      ),
    sendForList(request, onElement, callOptions = {}) {
      // The caller has taken these elements: it would get them twice.
      let hasBegun = false;
      const take = (element: unknown): void => {
        hasBegun = true;
        onElement(element);
      };
      return sendInTurn(
        callOptions,
        (http, own) => http.sendForList(request, take, own),
        () => !hasBegun,
      );
    },
    refusal: (request, response) => answered.http.refusal(request, response),
    probe: async (timeoutMs) => await Promise.any(all.map(({ http }) => http.probe(timeoutMs))),
    close() {
      isClosed = true;
      for (const address of all) address.close();
    },
  };
}

interface WatchedAddress {
  readonly http: ManagementHttp;
  readonly isUp: boolean;
  call(
    options: ManagementCallOptions,
    timeoutMs: number,
    send: (http: ManagementHttp, options: ManagementCallOptions) => Promise<ManagementResponse>,
    isLast: boolean,
  ): Promise<ManagementResponse>;
  close(): void;
}

/** One address, with what is known of it. */
function createWatchedAddress(
  http: ManagementHttp,
  parts: { readonly now: () => number; readonly random: () => number; readonly onChange: () => void },
): WatchedAddress {
  const { now, random, onChange } = parts;
  /** How to end each call that may be sent to another address. */
  const movable = new Set<AbortController>();
  let waiting = 0;
  let quietSinceMs = 0;
  let failedProbes = 0;
  let isUp = true;
  let isProbing = false;
  let isClosed = false;
  let timer: NodeJS.Timeout | undefined;

  const schedule = (run: () => void, ms: number): void => {
    clearTimeout(timer);
    timer = isClosed ? undefined : setTimeout(run, ms).unref();
  };
  const onAnswer = (): void => {
    quietSinceMs = now();
    if (isUp) return;
    isUp = true;
    failedProbes = 0;
    clearTimeout(timer);
    timer = undefined;
    onChange();
  };
  const onFault = (): void => {
    if (isUp) {
      isUp = false;
      onChange();
      scheduleProbe();
    }
    const reason = new AddressFault(
      'BrokerUnavailable',
      `RabbitMQ's management API at ${http.shownUrl} does not answer.`,
    );
    for (const call of movable) call.abort(reason);
    movable.clear();
  };
  const probe = async (): Promise<void> => {
    timer = undefined;
    if (isProbing) return;
    isProbing = true;
    const answers = await http.probe(PROBE_TIMEOUT_MS).catch(() => false);
    isProbing = false;
    if (isClosed) return;
    if (answers) onAnswer();
    else {
      onFault();
      failedProbes += 1;
      scheduleProbe();
    }
  };
  const scheduleProbe = (): void =>
    schedule(() => void probe(), withJitter(backoffMs(failedProbes + 1, PROBE_PAUSES), random));
  const checkQuiet = (): void => {
    timer = undefined;
    if (!isUp || waiting === 0) return;
    const leftMs = quietSinceMs + QUIET_MS - now();
    if (leftMs <= 0) void probe().then(watchQuiet);
    else schedule(checkQuiet, leftMs);
  };
  const watchQuiet = (): void => {
    if (isUp && waiting > 0 && timer === undefined && !isProbing) schedule(checkQuiet, QUIET_MS);
  };

  return {
    http,
    get isUp() {
      return isUp;
    },
    async call(options, timeoutMs, send, isLast) {
      if (waiting === 0) quietSinceMs = now();
      waiting += 1;
      watchQuiet();
      const controller = isLast ? undefined : new AbortController();
      const abort = (): void => controller?.abort(options.signal?.reason);
      if (controller !== undefined) {
        movable.add(controller);
        options.signal?.addEventListener('abort', abort, { once: true });
      }
      try {
        const signal = controller?.signal ?? options.signal;
        const response = await send(http, { ...options, timeoutMs, ...(signal === undefined ? {} : { signal }) });
        onAnswer();
        return response;
      } catch (error) {
        if (error instanceof AddressFault) onFault();
        throw error;
      } finally {
        waiting -= 1;
        if (controller !== undefined) {
          movable.delete(controller);
          options.signal?.removeEventListener('abort', abort);
        }
      }
    },
    close() {
      isClosed = true;
      clearTimeout(timer);
      http.close();
    },
  };
}
