import amqplib, { type Channel, type Connection } from 'amqplib/callback_api';
import { recordHandshake } from '../../contract/amqplib-handshake-workaround.ts';

/** amqplib's method for calls with an answer; every such call of a channel goes through it. */
const RPC = '_rpc';
type Rpc = Record<
  typeof RPC,
  (method: number, fields: object, expected: number, callback: (error: Error) => void) => void
>;

type Connect = (url: string, options: object, callback: (error: Error | null, connection: Connection) => void) => void;
type Close = (callback?: (error: Error) => void) => void;
type Create = (callback: (error: Error, channel?: Channel) => void) => Channel;

let isPatched = false;

/**
 * Makes amqplib's callback API report errors on a closed connection through the callback, after the call has returned.
 *
 * Works around amqplib 2.3.1 together with rascal 21.0.1: amqplib throws from `createChannel`, `close` and every other call
 * on a connection or channel that has ended. rascal calls them from callbacks and does not catch, so that a connection
 * which RabbitMQ closes while rascal connects or shuts down ends the process (`IllegalOperationError: Connection closing`,
 * or `Cannot read properties of undefined (reading '_rascal_id')`).
 *
 * No longer needed when test/broker/amqp/amqplib-callback-workaround.test.ts passes without this function.
 */
export function patchAmqplibCallbacks(): void {
  if (isPatched) return;
  isPatched = true;
  // The overload that rascal uses.
  const connect = amqplib.connect as Connect;
  const patchedConnect: Connect = (url, options, callback) => {
    const handshake = recordHandshake(() =>
      connect(url, options, (error, connection) => {
        handshake.stop();
        // There is no connection after an error, whatever the types say.
        if (error === null) patchConnection(connection);
        else error.message = [error.message, handshake.reason()?.text].filter((text) => text !== undefined).join(': ');
        callback(error, connection);
      }),
    );
  };
  // rascal reads the property at each call.
  Object.assign(amqplib, { connect: patchedConnect });
}

function patchConnection(connection: Connection): void {
  patchClose(connection);
  let closedBecause: string | undefined;
  connection.on('error', (error: Error) => (closedBecause = error.message));
  // A call of a channel learns only that the channel has ended.
  const explain = (error: Error | null): void => {
    if (closedBecause !== undefined && error?.message.startsWith('Channel ended') === true) {
      error.message = closedBecause;
    }
  };
  for (const name of ['createChannel', 'createConfirmChannel'] as const) {
    const create = connection[name].bind(connection) as Create;
    const patchedCreate = (callback: Parameters<Create>[0]): Channel | undefined => {
      const callOnce = atMostOnce(callback);
      try {
        const channel = create(callOnce);
        patchChannel(channel as Channel & Rpc, explain);
        return channel;
      } catch (error) {
        setImmediate(callOnce, error as Error);
        return undefined;
      }
    };
    Object.assign(connection, { [name]: patchedCreate });
  }
}

/**
 * Calls back one turn later. On a connection that has ended amqplib calls back before `close` returns; rascal then clears
 * its reference, which its handler of that end, queued with `setImmediate`, still reads.
 */
function patchClose(closable: { readonly close: Close }): void {
  const close = closable.close.bind(closable);
  const patchedClose: Close = (callback = () => undefined) => {
    const callOnce = atMostOnce((error: Error) => void setImmediate(callback, error));
    try {
      close(callOnce);
    } catch (error) {
      callOnce(error as Error);
    }
  };
  Object.assign(closable, { close: patchedClose });
}

function patchChannel(channel: Channel & Rpc, explain: (error: Error | null) => void): void {
  patchClose(channel);
  const rpc = channel[RPC].bind(channel);
  channel[RPC] = (method, fields, expected, callback) => {
    const callOnce = atMostOnce((error: Error, ...results: []) => {
      explain(error);
      callback(error, ...results);
    });
    try {
      rpc(method, fields, expected, callOnce);
    } catch (error) {
      setImmediate(callOnce, error as Error);
    }
  };
}

/** A call that has thrown may still wait for its answer; amqplib calls back again when the connection closes. */
function atMostOnce<Args extends unknown[]>(callback: (...args: Args) => void): (...args: Args) => void {
  let isCalled = false;
  return (...args) => {
    if (isCalled) return;
    isCalled = true;
    callback(...args);
  };
}
