import type { Secret } from '../../util/secret.ts';
import type { ForeignBinding } from '../foreign-bindings.ts';
import type { Management } from '../management/management.ts';
import { createOnDemandConnection } from './on-demand-connection.ts';

interface BindingRemoverOptions {
  /** The agent's own account; its path is the vhost. */
  readonly amqpUrl: Secret;
  readonly id: string;
  readonly vhost: string;
  readonly management: Pick<Management, 'listBindings' | 'listBindingsInto' | 'deleteBinding'>;
  /** Trusted certificates in PEM, instead of the system's. */
  readonly ca?: string | undefined;
}

/** Removes single bindings. */
export interface BindingRemover {
  /**
   * Removes a binding, which need not exist any more. Returns false when its routing key is not UTF-8, so that no call can
   * name it. Rejects when the broker does not answer.
   */
  remove(binding: ForeignBinding): Promise<boolean>;
  close(): Promise<void>;
}

const NOT_FOUND = 404;
/** What bytes that are not UTF-8 are decoded to. */
const REPLACEMENT = '\uFFFD';

/**
 * Creates the remover. It works over AMQP: a single routing key that the management API cannot write as JSON or accept in a
 * URL would keep it from listing or removing any binding. The connection opens on demand.
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
        // Source or destination is deleted, and the binding with it. RabbitMQ has closed the channel.
        if (error instanceof Error && 'code' in error && error.code === NOT_FOUND) return;
        throw error;
      }
      await channel.close();
    });

  /** AMQP needs the arguments of a binding to name it; the management API does not. */
  const removeWithArguments = async (binding: ForeignBinding): Promise<void> => {
    const { source, destination, destinationKind, routingKey } = binding;
    const listed =
      destinationKind === 'exchange'
        ? await management.listBindingsInto(vhost, destination)
        : await management.listBindings(vhost);
    for (const candidate of listed) {
      if (candidate.source !== source || candidate.destination !== destination) continue;
      if (candidate.destinationType !== destinationKind || candidate.routingKey !== routingKey) continue;
      await management.deleteBinding(vhost, candidate);
    }
  };

  return {
    async remove(binding) {
      if (binding.routingKey.includes(REPLACEMENT)) return false;
      if (binding.hasArguments) await removeWithArguments(binding);
      else await unbind(binding);
      return true;
    },
    close: () => connection.close(),
  };
}
