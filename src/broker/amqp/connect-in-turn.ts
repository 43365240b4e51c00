import { type AddressChoice, createAddressChoice, isFaultOfAddress } from '../../contract/address-choice.ts';
import type { AmqpTarget } from '../../contract/url.ts';
import { asError } from '../../util/agent-errors.ts';
import type { Secret } from '../../util/secret.ts';
import { type ConnectionTimeouts, targetsOf } from './connection.ts';

/** Where a connection may lead. */
export interface AmqpAddresses {
  /** One URL, or several that differ in host and port only. */
  readonly amqpUrl: Secret;
  /** What the connections of one agent know of these addresses together; a connection alone knows its own failures. */
  readonly addressChoice?: AddressChoice | undefined;
}

/** An address that {@link openTargets} offers. */
export interface OfferedTarget {
  readonly target: AmqpTarget;
  /** The connection was lost, for this reason. */
  readonly lost: (reason: unknown) => void;
  readonly failed: () => void;
  readonly succeeded: () => void;
}

/** The addresses of a connection. */
export interface OfferedTargets {
  readonly count: number;
  /** All of them, in the order in which to try them now. */
  inOrder(): OfferedTarget[];
}

/** Offers the addresses of a connection in the order of their choice. */
export function openTargets({ amqpUrl, addressChoice }: AmqpAddresses, timeouts?: ConnectionTimeouts): OfferedTargets {
  const targets = targetsOf(amqpUrl, timeouts);
  const choice = addressChoice ?? createAddressChoice(targets.length, { nowMs: () => performance.now(), spread: 0 });
  const offers = targets.map(
    (target, address): OfferedTarget => ({
      target,
      lost(reason) {
        if (isFaultOfAddress(asError(reason))) choice.failed(address);
      },
      failed: () => choice.failed(address),
      succeeded: () => choice.succeeded(address),
    }),
  );
  return {
    count: targets.length,
    inOrder: () => choice.order().flatMap((address) => offers[address] ?? []),
  };
}

/**
 * Connects to the first address that can be used, each tried once.
 *
 * @param isOfAddress whether another address may do what failed at this one
 * @throws the error of the last address, unless an operator can act on that of an earlier one
 */
export async function connectInTurn<T>(
  targets: OfferedTargets,
  connect: (offered: OfferedTarget) => Promise<T>,
  isOfAddress: (error: unknown) => boolean,
): Promise<T> {
  const errors: unknown[] = [];
  for (const offered of targets.inOrder()) {
    try {
      const connected = await connect(offered);
      offered.succeeded();
      return connected;
    } catch (error) {
      if (!isOfAddress(error)) throw error;
      offered.failed();
      errors.push(error);
    }
  }
  throw errors.find((error) => !isUnreachable(error)) ?? errors.at(-1);
}

function isUnreachable(error: unknown): boolean {
  return /ECONNREFUSED|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ECONNRESET|ENOTFOUND|EAI_AGAIN|Socket closed abruptly/.test(
    asError(error).message,
  );
}
