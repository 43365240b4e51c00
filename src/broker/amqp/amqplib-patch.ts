import amqplib, { type Channel, type Connection } from 'amqplib/callback_api';

/** How amqplib sends a method and waits for its answer; every call of a channel that has an answer goes through it. */
const CALL = '_rpc';
type Calling = Record<
  typeof CALL,
  (method: number, fields: object, expected: number, callback: (failure: Error) => void) => void
>;

type Connect = (
  url: string,
  options: object,
  callback: (failure: Error | null, connection: Connection) => void,
) => void;
type Close = (callback?: (failure: Error) => void) => void;
type Create = (callback: (failure: Error, channel?: Channel) => void) => Channel;

let guarded = false;

/**
 * From now on a call of amqplib's callback API on a connection that has just ended is answered through its callback, after
 * the call has returned. By itself amqplib throws, and rascal, which calls from callbacks while it connects, does not
 * catch: a connection that RabbitMQ closes in the middle of that, or of rascal's own closing, would end the process.
 */
export function patchAmqplibCallbacks(): void {
  if (guarded) return;
  guarded = true;
  // The one of its forms that rascal uses.
  const connect = amqplib.connect as Connect;
  const connectGuarded: Connect = (url, options, callback) =>
    connect(url, options, (failure, connection) => {
      // There is none after a failure, whatever the types say.
      if (failure === null) guardConnection(connection);
      callback(failure, connection);
    });
  // rascal looks `connect` up each time.
  Object.assign(amqplib, { connect: connectGuarded });
}

function guardConnection(connection: Connection): void {
  guardClose(connection);
  for (const name of ['createChannel', 'createConfirmChannel'] as const) {
    const create = connection[name].bind(connection) as Create;
    const createGuarded = (callback: Parameters<Create>[0]): Channel | undefined => {
      const tell = atMostOnce(callback);
      try {
        const channel = create(tell);
        guardChannel(channel as Channel & Calling);
        return channel;
      } catch (failure) {
        setImmediate(tell, failure as Error);
        return undefined;
      }
    };
    Object.assign(connection, { [name]: createGuarded });
  }
}

/**
 * Whoever closes is told a turn later: amqplib answers on a connection that has ended before the call returns, and rascal
 * then clears its reference, which the handler of that end, queued with `setImmediate`, is about to read. What is closed
 * without a callback has nobody to be told that it was closed already.
 */
function guardClose(closable: { readonly close: Close }): void {
  const close = closable.close.bind(closable);
  const closeGuarded: Close = (callback = () => undefined) => {
    const tell = atMostOnce((failure: Error) => void setImmediate(callback, failure));
    try {
      close(tell);
    } catch (failure) {
      tell(failure as Error);
    }
  };
  Object.assign(closable, { close: closeGuarded });
}

function guardChannel(channel: Channel & Calling): void {
  guardClose(channel);
  const call = channel[CALL].bind(channel);
  channel[CALL] = (method, fields, expected, callback) => {
    const tell = atMostOnce(callback);
    try {
      call(method, fields, expected, tell);
    } catch (failure) {
      setImmediate(tell, failure as Error);
    }
  };
}

/** What has thrown may still be waiting for its answer, and is told again when the connection is closed. */
function atMostOnce<Args extends unknown[]>(callback: (...args: Args) => void): (...args: Args) => void {
  let told = false;
  return (...args) => {
    if (told) return;
    told = true;
    callback(...args);
  };
}
