import { contractNames } from '../contract/names.ts';
import type { Secret } from '../util/secret.ts';
import type { BindingCreated } from './amqp/broker-events.ts';
import { EVENT_EXCHANGE } from './amqp/broker-events.ts';
import type { Management } from './management/management.ts';
import { createOnDemandConnection } from './amqp/on-demand-connection.ts';

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
export interface BindingRemoverOptions {
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

const NOT_FOUND = 404;
/** What bytes that are no UTF-8 are decoded to. */
const REPLACEMENT = '\uFFFD';

/**
 * Makes the remover. It works over AMQP, on a connection that is opened when it is needed: one key that the management API
 * cannot write as JSON or take in a URL would keep all bindings from being listed or removed there.
 */
export function createBindingRemover({ amqpUrl, id, vhost, management, ca }: BindingRemoverOptions): BindingRemover {
  const connection = createOnDemandConnection({ amqpUrl, connectionName: `${id} bindings`, ca });

  const unbind = ({ source, destination, destinationKind, routingKey }: ForeignBinding): Promise<void> =>
    connection.use(async (opened) => {
      const channel = await opened.createChannel();
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
    });
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
    close: () => connection.close(),
  };
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}
