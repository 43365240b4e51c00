import { type ChannelModel, connect } from 'amqplib';
import { WireError } from '../contract/errors.ts';
import { BrokerRefused } from './errors.ts';
import { openRpc, type Rpc, type RpcOptions } from './rpc.ts';
import { unlessAborted } from './time.ts';

/** What the caller has: the address of a broker, or a connection, or a function that gives the present one. */
export type Source =
  | { readonly url: string }
  | { readonly connection: ChannelModel | (() => ChannelModel | Promise<ChannelModel>) };

/** A way to the agent that is opened when it is needed and opened anew when it broke. */
export interface Link {
  /**
   * Has `use` send requests over an open channel.
   *
   * @throws what `use` throws; WireError `Unavailable` when the broker cannot be reached, BrokerRefused when it refuses
   */
  withRpc<T>(signal: AbortSignal, use: (rpc: Rpc) => Promise<T>): Promise<T>;
  /** Has the next request go over a new channel, and with a url a new connection: this one may hang. */
  distrust(): void;
  /** Closes what was opened. */
  close(): Promise<void>;
}

/** A connection that is used once an hour is not kept open: the claimant has a limit of connections, shared by all. */
const IDLE_MS = 10_000;
const CONNECT_TIMEOUT_MS = 10_000;

interface Opened {
  readonly rpc: Rpc;
  readonly close: () => Promise<void>;
}

interface Current {
  readonly opened: Promise<Opened>;
  users: number;
}

/** Makes the way; nothing is opened yet. */
export function createLink(source: Source, options: RpcOptions): Link {
  let current: Current | undefined;
  let idle: NodeJS.Timeout | undefined;
  const closing = new Set<Promise<void>>();

  const drop = (dropped: Current): void => {
    if (current === dropped) current = undefined;
    if (dropped.users > 0) return;
    const closed = dropped.opened.then(({ close }) => close()).catch(() => undefined);
    closing.add(closed);
    void closed.finally(() => closing.delete(closed));
  };
  const acquire = async (): Promise<Current> => {
    clearTimeout(idle);
    if (current !== undefined) {
      const { rpc } = await current.opened.catch(() => ({ rpc: undefined }));
      if (rpc?.isOpen === false && current.users === 0) drop(current);
      else if (rpc?.isOpen !== true) current = undefined;
    }
    current ??= { opened: open(source, options), users: 0 };
    current.opened.catch(() => undefined);
    return current;
  };
  return {
    async withRpc(signal, use) {
      const held = await unlessAborted(acquire(), signal);
      held.users += 1;
      try {
        const { rpc } = await unlessAborted(held.opened, signal);
        return await use(rpc);
      } finally {
        held.users -= 1;
        if (current !== held) drop(held);
        else if (held.users === 0) idle = setTimeout(() => drop(held), IDLE_MS);
      }
    },
    distrust() {
      if (current !== undefined) drop(current);
    },
    async close() {
      clearTimeout(idle);
      // Whoever still waits for a reply is told by the closing of the channel.
      if (current !== undefined) {
        current.users = 0;
        drop(current);
      }
      await Promise.all(closing);
    },
  };
}

async function open(source: Source, options: RpcOptions): Promise<Opened> {
  if ('connection' in source) return await openOver(source.connection, options);
  let connection: ChannelModel;
  try {
    connection = await connect(source.url, {
      timeout: CONNECT_TIMEOUT_MS,
      clientProperties: { connection_name: 'pulse-agent-client' },
    });
  } catch (error) {
    throw connectFault(error);
  }
  let closed = false;
  connection.on('close', () => (closed = true));
  // Its end shows on the channel; without a listener the process would end.
  connection.on('error', () => undefined);
  const close = async (): Promise<void> => {
    if (!closed) await connection.close().catch(() => undefined);
  };
  try {
    return { rpc: await openRpc(connection, options), close };
  } catch (error) {
    await close();
    throw openFault(error);
  }
}

async function openOver(
  given: ChannelModel | (() => ChannelModel | Promise<ChannelModel>),
  options: RpcOptions,
): Promise<Opened> {
  try {
    const rpc = await openRpc(typeof given === 'function' ? await given() : given, options);
    // The connection is the caller's: only the channel is closed.
    return { rpc, close: async () => (rpc.isOpen ? await rpc.close() : undefined) };
  } catch (error) {
    throw openFault(error);
  }
}

function openFault(error: unknown): Error {
  if (error instanceof WireError || error instanceof BrokerRefused) return error;
  return new WireError('Unavailable', `No channel could be opened: ${reasonOf(error)}.`);
}

function connectFault(error: unknown): Error {
  const reason = reasonOf(error);
  if (/ACCESS.REFUSED/.test(reason)) {
    return new BrokerRefused('RabbitMQ refuses the user or the password of the url.');
  }
  if (/vhost .*not found/i.test(reason)) {
    return new BrokerRefused('RabbitMQ has no such vhost as the url names.');
  }
  return new WireError('Unavailable', `RabbitMQ cannot be reached: ${reason}.`);
}

/** Of amqplib's and Node's errors; none of them shows the url with its password. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown';
  // Of several addresses none answered: the error of the first says enough, the one around them nothing.
  const told: unknown = error instanceof AggregateError ? error.errors[0] : error;
  return told instanceof Error ? told.message.replace(/\.$/, '') : 'unknown';
}
