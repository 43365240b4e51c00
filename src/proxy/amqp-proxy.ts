import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { formatAmqpUrl, parseAmqpUrl } from '../contract/url.ts';
import type { Lease } from '../client/lease.ts';
import { systemTime, type Time } from '../client/time.ts';
import { BrokerDialer } from './broker-dialer.ts';
import { ProxiedConnection } from './proxied-connection.ts';

/** How a proxy listens, and what it stands for. */
export interface AmqpProxyOptions {
  readonly lease: Pick<Lease, 'connectionString' | 'connectionStrings' | 'credentials'>;
  readonly host: string;
  /** 0: any that is free. */
  readonly port: number;
  /** The password that clients have to give; undefined: whatever they give. */
  readonly password?: string | undefined;
  /** The vhost that is opened in place of the one that a client names. */
  readonly vhost?: string | undefined;
  /** CA certificates in PEM for connections to RabbitMQ, instead of those of the system. */
  readonly ca?: string | undefined;
  readonly time?: Time;
  /** How long a client may take until it opens its connection, in ms; default: as long as RabbitMQ allows, 10 s. */
  readonly handshakeMs?: number;
}

/** The user in the URL of a proxy. Clients may name any. */
const LOCAL_USER = 'pulse';

const HANDSHAKE_MS = 10_000;

/**
 * Stands in front of RabbitMQ for clients that cannot renew credentials: it logs them in with those that a lease has, and
 * passes all else on.
 *
 * Each connection of a client is one to RabbitMQ. What ends one is said in AMQP, with connection.close.
 */
export class AmqpProxy {
  readonly #options: AmqpProxyOptions;
  readonly #server: Server;
  readonly #dialer: BrokerDialer;
  readonly #connections = new Set<ProxiedConnection>();
  #closing: string | undefined;

  constructor(options: AmqpProxyOptions) {
    this.#options = options;
    const { lease, ca, time = systemTime } = options;
    this.#dialer = new BrokerDialer({ urls: () => lease.connectionStrings, ca, time });
    this.#server = createServer({ allowHalfOpen: true, noDelay: true, keepAlive: true }, (client) =>
      this.#serve(client),
    );
  }

  /**
   * Listens.
   *
   * @throws Error with a `code`, such as EADDRINUSE
   */
  async start(): Promise<void> {
    const { host, port } = this.#options;
    this.#server.listen({ host, port, backlog: 1024 });
    await once(this.#server, 'listening');
    // The process has as many open files as it may: the client was not accepted, and comes again.
    this.#server.on('error', () => undefined);
  }

  /** The AMQP URL for clients: it has the vhost of the namespace, and the password if one is wanted. */
  get url(): string {
    const { lease, host, password, vhost } = this.#options;
    const { port } = this.#server.address() as AddressInfo;
    return formatAmqpUrl({
      protocol: 'amqp',
      hostname: host,
      port,
      login: { username: LOCAL_USER, password: password ?? LOCAL_USER },
      vhost: vhost ?? parseAmqpUrl(lease.connectionString).vhost,
      search: '',
    });
  }

  /** How many clients are connected. */
  get connections(): number {
    return this.#connections.size;
  }

  /** Closes all connections with this reason, and stops listening. Resolves when they are closed; 3 s at the most. */
  async close(reason: string): Promise<void> {
    this.#closing ??= reason;
    const closed = this.#server.listening ? once(this.#server, 'close') : undefined;
    this.#server.close();
    await Promise.all([...this.#connections].map((connection) => connection.end(320, reason)));
    await closed;
  }

  #serve(client: Socket): void {
    const { lease, password, vhost, time = systemTime, handshakeMs = HANDSHAKE_MS } = this.#options;
    const connection = new ProxiedConnection(client, {
      lease,
      dialer: this.#dialer,
      password: password === undefined ? undefined : Buffer.from(password),
      vhost,
      time,
      handshakeMs,
    });
    this.#connections.add(connection);
    void connection.serve().then(() => this.#connections.delete(connection));
    // Accepted while the server stopped listening.
    if (this.#closing !== undefined) void connection.end(320, this.#closing);
  }
}
