import type { LeaseRequest, PulseAgentClient } from '../client/client.ts';
import type { Lease } from '../client/lease.ts';
import { AmqpProxy, type AmqpProxyOptions } from '../proxy/amqp-proxy.ts';
import { type CommandContext, UsageFault } from './define-command.ts';
import { holdLease } from './hold-lease.ts';
import type { ProxyListener } from './proxy-listeners.ts';
import { runWhileHeld } from './run-with-lease.ts';

/** What the command `proxy` was given besides its listeners. */
export interface ProxyCommand {
  readonly request: Omit<LeaseRequest, 'namespace' | 'expires'>;
  readonly vhost: string | undefined;
  readonly ca: string | undefined;
  /** Empty: the proxies run until the command is interrupted. */
  readonly program: readonly string[];
}

/**
 * Claims each namespace and listens for its clients, until the command is interrupted or the program has ended.
 *
 * @throws LeaseLost; UsageFault if a port cannot be listened on
 */
export async function runProxies(
  client: PulseAgentClient,
  listeners: readonly ProxyListener[],
  { request, vhost, ca, program }: ProxyCommand,
  context: CommandContext,
): Promise<void> {
  const { output, signal } = context;
  const leases: Lease[] = [];
  const proxies: AmqpProxy[] = [];
  try {
    for (const { namespace, ...listener } of listeners) {
      const lease = await client.lease({ ...request, namespace }, { signal });
      leases.push(lease);
      const proxy = await startProxy({ ...listener, lease, vhost, ca });
      proxies.push(proxy);
      lease.once('lost', (lost) => void proxy.close(lost.message));
      const shown = proxy.url.replace(/\/\/.*@/, '//');
      if (program.length === 0) {
        output.print({ event: 'listening', namespace, url: shown }, ({ good }) => {
          return `${good('listening')} on ${shown} for ${namespace}`;
        });
      }
    }
    const url = proxies[0]?.url ?? '';
    if (program.length > 0) {
      const variables = { PULSE_CONNECTION_STRING: url, AMQP_URL: url };
      const note = 'PULSE_CONNECTION_STRING and AMQP_URL have the URL of the proxy.';
      context.exitCode = await runWhileHeld(leases, program, context, { variables, note });
    } else await Promise.all(leases.map((lease) => holdLease(lease, context, false)));
  } finally {
    await Promise.all(proxies.map((proxy) => proxy.close('The proxy of Pulse Agent stops.')));
    await Promise.all(leases.map((lease) => lease.stop()));
  }
}

async function startProxy(options: AmqpProxyOptions): Promise<AmqpProxy> {
  const proxy = new AmqpProxy(options);
  try {
    await proxy.start();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const why = code === 'EADDRINUSE' ? 'another program uses it' : message;
    throw new UsageFault(`The proxy cannot listen on ${options.host}:${options.port}, ${why}: give another port.`);
  }
  return proxy;
}
