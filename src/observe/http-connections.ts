import type { Server } from 'node:http';
import type { Socket } from 'node:net';

/** A request that is being answered. */
export interface PendingRequest {
  /** Aborted when the client has gone, or the answer is complete. */
  readonly signal: AbortSignal;
  /** The answer goes on for long: its connection makes no room for others. */
  hold(): void;
  /** The answer is complete, or abandoned. */
  end(): void;
}

/** The connections of an HTTP server, each with the requests that are being answered on it. */
export interface HttpConnections {
  /** A request has arrived. Undefined: its connection is cut, as it has too many without an answer. */
  begin(socket: Socket): PendingRequest | undefined;
}

interface Connection {
  readonly pending: Set<AbortController>;
  hasAsked: boolean;
  isHeld: boolean;
}

/** Requests that a client may send before it has the answer to the first. */
const MAX_PENDING = 8;

const REFUSAL = 'HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n';

/**
 * Bounds the connections of a server. A new one beyond the limit takes the place of the one that has been without a request
 * for longest: a limit of the server itself would refuse the newest, which may be a health check.
 */
export function limitConnections(server: Server, limit: number): HttpConnections {
  /** Those that were active last are at the end. */
  const connections = new Map<Socket, Connection>();

  const makeRoom = (newest: Socket): void => {
    let victim: Socket | undefined;
    for (const [socket, { pending, isHeld }] of connections) {
      if (isHeld || socket === newest) continue;
      victim ??= socket;
      if (pending.size > 0) continue;
      victim = socket;
      break;
    }
    const cut = victim ?? newest;
    const hasAsked = connections.get(cut)?.hasAsked === true;
    connections.delete(cut);
    if (hasAsked) cut.destroy();
    else {
      cut.write(REFUSAL);
      cut.destroySoon();
    }
  };

  server.on('connection', (socket: Socket) => {
    const connection: Connection = { pending: new Set(), hasAsked: false, isHeld: false };
    connections.set(socket, connection);
    socket.once('close', () => {
      connections.delete(socket);
      // Node reports it for the first of several answers only.
      for (const controller of connection.pending) controller.abort();
    });
    if (connections.size > limit) makeRoom(socket);
  });

  return {
    begin(socket) {
      const connection = connections.get(socket);
      // One that was cut may still deliver what it had read.
      if (connection === undefined) return undefined;
      const { pending } = connection;
      const touch = (): void => {
        if (!connections.delete(socket)) return;
        connections.set(socket, connection);
      };
      connection.hasAsked = true;
      touch();
      if (pending.size >= MAX_PENDING) {
        socket.destroy();
        return undefined;
      }
      const controller = new AbortController();
      pending.add(controller);
      return {
        signal: controller.signal,
        hold: () => void (connection.isHeld = true),
        end() {
          pending.delete(controller);
          connection.isHeld = false;
          touch();
          controller.abort();
        },
      };
    },
  };
}
