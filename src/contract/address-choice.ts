/** In which order to try several addresses of one server. Connections that share it share what they know of failures. */
export interface AddressChoice {
  /** All addresses, by index: first those that have not failed, then the one whose time is up first. */
  order(): readonly number[];
  /** The address could not be used: it is tried after all others, for a time that grows with each failure. */
  failed(address: number): void;
  /** The address works. */
  succeeded(address: number): void;
}

/** What {@link createAddressChoice} works with. */
export interface AddressChoiceOptions {
  /** A clock that never jumps, in ms. */
  readonly nowMs: () => number;
  /** At least 0, less than 1; 0: the order of the list. Each client of a server has its own, so that they spread over it. */
  readonly spread: number;
}

/** How long an address that failed is avoided, in ms. The time doubles with each failure. */
const FIRST_AVOIDED_MS = 1_000;
const MAX_AVOIDED_MS = 60_000;

/**
 * Creates the choice among `count` addresses.
 *
 * An address that fails while it is avoided was tried because all others are, or by a connection that was lost with others:
 * that counts as one failure.
 */
export function createAddressChoice(count: number, { nowMs, spread }: AddressChoiceOptions): AddressChoice {
  const preferred = permuted(
    Array.from({ length: count }, (_, address) => address),
    spread,
  );
  const failures = new Map<number, { readonly count: number; readonly untilMs: number }>();
  const avoidedUntilMs = (address: number): number => failures.get(address)?.untilMs ?? -Infinity;
  return {
    order() {
      const now = nowMs();
      const [usable, avoided]: [number[], number[]] = [[], []];
      for (const address of preferred) (avoidedUntilMs(address) <= now ? usable : avoided).push(address);
      return [...usable, ...avoided.toSorted((one, other) => avoidedUntilMs(one) - avoidedUntilMs(other))];
    },
    failed(address) {
      const now = nowMs();
      if (avoidedUntilMs(address) > now) return;
      const times = (failures.get(address)?.count ?? 0) + 1;
      const avoidedMs = Math.min(FIRST_AVOIDED_MS * 2 ** (times - 1), MAX_AVOIDED_MS);
      failures.set(address, { count: times, untilMs: now + avoidedMs });
    },
    succeeded: (address) => void failures.delete(address),
  };
}

/** AMQP's code for a connection that was closed by force: its node stops, or an operator closed it. */
const CONNECTION_FORCED = 320;

/** Whether the loss of a connection says that its address cannot be used now, and not that RabbitMQ closed this connection. */
export function isFaultOfAddress({ code, message }: Error & { readonly code?: unknown }): boolean {
  return typeof code !== 'number' || (code === CONNECTION_FORCED && message.includes("'shutdown'"));
}

/** The items in one of their orders. The same `spread` gives the same order. */
export function permuted<T>(items: readonly T[], spread: number): T[] {
  const rest = [...items];
  let left = spread;
  return items.map(() => {
    left *= rest.length;
    const at = Math.floor(left);
    left -= at;
    return rest.splice(at, 1)[0] as T;
  });
}
