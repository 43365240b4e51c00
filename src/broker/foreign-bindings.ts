import { connect, type ChannelModel } from 'amqplib';
import { contractNames } from '../contract/names.ts';
import type { Secret } from '../secret.ts';
import type { BindingCreated } from './broker-events.ts';
import { EVENT_EXCHANGE } from './broker-events.ts';
import type { Management } from './management.ts';

/** A binding that brings foreign messages to the agent. */
export type ForeignBinding = Pick<
  BindingCreated,
  'source' | 'destination' | 'destinationKind' | 'routingKey' | 'hasArguments'
>;

/**
 * Whether a binding is not the agent's: one into its request exchange, which nobody needs and which whoever may write
 * there can make, or one of its queues to an exchange that is not its own. Bindings of the agent's own exchanges stay: an
 * agent of another version may serve other methods.
 */
export function isForeignBinding(id: string, vhost: string, binding: ForeignBinding & { vhost: string }): boolean {
  const names = contractNames(id);
  if (binding.vhost !== vhost) return false;
  if (binding.destinationKind === 'exchange') return binding.destination === names.rpcExchange;
  const queues: readonly string[] = [
    names.requestQueue,
    names.unknownMethodsQueue,
    names.deadQueue,
    names.brokerEventsQueue,
  ];
  const sources: readonly string[] = ['', names.rpcExchange, names.deadExchange, EVENT_EXCHANGE];
  return queues.includes(binding.destination) && !sources.includes(binding.source);
}

/** What {@link createBindingRemover} needs. */
export interface BindingRemoverParts {
  /** The agent's own account; its path is the vhost. */
  readonly amqpUrl: Secret;
  readonly id: string;
  readonly vhost: string;
  readonly management: Pick<Management, 'listBindings' | 'listBindingsInto' | 'deleteBinding'>;
  /** Certificates to trust, in PEM, instead of the system's. */
  readonly ca?: string | undefined;
}

/** Removes bindings. */
export interface BindingRemover {
  /**
   * Removes one; one that is gone already is removed. Returns false when it cannot be removed: its key is no UTF-8, so
   * that nothing here can name it. Rejects when the broker does not answer.
   */
  remove(binding: ForeignBinding): Promise<boolean>;
  close(): Promise<void>;
}

const IDLE_MS = 5_000;
const CONNECT_TIMEOUT_MS = 10_000;
const NOT_FOUND = 404;
/** What bytes that are no UTF-8 are decoded to. */
const REPLACEMENT = '\uFFFD';

/**
 * Makes the remover. It works over AMQP, on a connection that is opened when it is needed: one key that the management API
 * cannot write as JSON or take in a URL would keep all bindings from being listed or removed there.
 */
export function createBindingRemover({ amqpUrl, id, vhost, management, ca }: BindingRemoverParts): BindingRemover {
  let connection: Promise<ChannelModel> | undefined;
  let underWay = 0;
  let idle: NodeJS.Timeout | undefined;

  const open = async (onClosed: () => void): Promise<ChannelModel> => {
    const opened = await connect(amqpUrl.reveal(), {
      timeout: CONNECT_TIMEOUT_MS,
      clientProperties: { connection_name: `${id} bindings` },
      ...(ca === undefined ? {} : { ca: [ca] }),
    });
    // Without a listener an error ends the process; what waits on the connection rejects by itself.
    opened.on('error', () => undefined);
    opened.on('close', onClosed);
    return opened;
  };
  const present = (): Promise<ChannelModel> => {
    if (connection !== undefined) return connection;
    const forget = (): void => {
      if (connection === opening) connection = undefined;
    };
    const opening = open(forget);
    opening.catch(forget);
    connection = opening;
    return opening;
  };
  const close = async (): Promise<void> => {
    clearTimeout(idle);
    const closing = connection;
    connection = undefined;
    await (await closing?.catch(() => undefined))?.close().catch(() => undefined);
  };

  const unbind = async ({ source, destination, destinationKind, routingKey }: ForeignBinding): Promise<void> => {
    clearTimeout(idle);
    underWay += 1;
    try {
      const channel = await (await present()).createChannel();
      channel.on('error', () => undefined);
      try {
        if (destinationKind === 'queue') await channel.unbindQueue(destination, source, routingKey);
        else await channel.unbindExchange(destination, source, routingKey);
      } catch (error) {
        // Either end of it is gone, and it with them; the channel, too.
        if (codeOf(error) === NOT_FOUND) return;
        throw error;
      }
      await channel.close();
    } finally {
      underWay -= 1;
      if (underWay === 0) idle = setTimeout(() => void close(), IDLE_MS).unref();
    }
  };
  /** By the listing, which knows arguments. */
  const removeListed = async ({ source, destination, destinationKind, routingKey }: ForeignBinding): Promise<void> => {
    const into =
      destinationKind === 'exchange'
        ? await management.listBindingsInto(vhost, destination)
        : await management.listBindings(vhost);
    for (const binding of into) {
      if (binding.source !== source || binding.destination !== destination) continue;
      if (binding.destinationType !== destinationKind || binding.routingKey !== routingKey) continue;
      await management.deleteBinding(vhost, binding);
    }
  };

  return {
    async remove(binding) {
      if (binding.routingKey.includes(REPLACEMENT)) return false;
      if (binding.hasArguments) await removeListed(binding);
      else await unbind(binding);
      return true;
    },
    close,
  };
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}
