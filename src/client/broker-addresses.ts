import type { ChannelModel } from 'amqplib';
import { type AddressChoice, createAddressChoice, isFaultOfAddress } from '../contract/address-choice.ts';
import { BrokerRefused } from './client-errors.ts';

/** A connection, and what to do when its address seems not to work. */
export interface ReachedConnection {
  readonly connection: ChannelModel;
  /** The next connection is opened at another address, if there is one that works. */
  readonly avoidAddress: () => void;
}

/** The addresses of RabbitMQ, tried in turn. An address that failed, or whose connection was lost, is avoided for a time. */
export class BrokerAddresses {
  readonly #choice: AddressChoice;

  /** @param spread which order they are tried in, as in `createAddressChoice`; that of the list when absent */
  constructor(count: number, spread = 0) {
    this.#choice = createAddressChoice(count, { nowMs: () => performance.now(), spread });
  }

  /**
   * Connects to the first address that works, each tried once.
   *
   * @param urls as many as there are addresses; they may have other credentials each time
   * @throws what `open` throws for the last one, or the refusal of an earlier one
   */
  async connect(
    urls: readonly string[],
    open: (url: string) => Promise<ChannelModel>,
    signal?: AbortSignal,
  ): Promise<ReachedConnection> {
    const errors: unknown[] = [];
    for (const address of this.#choice.order()) {
      const url = urls[address];
      if (url === undefined) continue;
      try {
        const connection = await open(url);
        this.#choice.succeeded(address);
        const avoidAddress = (): void => this.#choice.failed(address);
        connection.once('close', (reason?: Error) => {
          if (reason !== undefined && isFaultOfAddress(reason)) avoidAddress();
        });
        return { connection, avoidAddress };
      } catch (error) {
        signal?.throwIfAborted();
        // The users and the vhosts of all addresses are the same; their certificates are not.
        if (error instanceof BrokerRefused && error.details.refused !== 'tls') throw error;
        this.#choice.failed(address);
        errors.push(error);
      }
    }
    throw errors.find((error) => error instanceof BrokerRefused) ?? errors.at(-1);
  }
}
