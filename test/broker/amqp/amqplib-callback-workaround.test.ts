import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import amqplib, { type Channel, type Connection } from 'amqplib/callback_api';
import { patchAmqplibCallbacks } from '../../../src/broker/amqp/amqplib-callback-workaround.ts';
import { connectRascal, type RascalConnection } from '../../../src/broker/amqp/rascal-connection.ts';
import { Secret } from '../../../src/util/secret.ts';
import { createVhost, type TestVhost, useSharedBroker } from '../../support/broker.ts';

type Made<Thing> = (failure: Error | null, thing: Thing) => void;
type Connect = (url: string, options: object, callback: Made<Connection>) => void;
type Create = (callback: Made<Channel>) => Channel;

describe('a connection that ends while rascal works with it', () => {
  useSharedBroker();
  let vhost: TestVhost;
  before(async () => {
    vhost = await createVhost();
    patchAmqplibCallbacks();
  });

  const connect = async (): Promise<RascalConnection> => {
    const settings = { amqpUrl: new Secret(vhost.amqpUrl), connectionName: 'a test' };
    return await connectRascal(settings, { exchanges: ['one', 'two'], queues: ['three'] });
  };
  /** Connects with something done to the connection before rascal has it. */
  const connectMeddled = async (meddle: (connection: Connection) => void): Promise<RascalConnection> => {
    const original = amqplib.connect as Connect;
    const meddled: Connect = (url, options, callback) =>
      original(url, options, (failure, connection) => {
        if (failure === null) meddle(connection);
        callback(failure, connection);
      });
    Object.assign(amqplib, { connect: meddled });
    try {
      return await connect();
    } finally {
      Object.assign(amqplib, { connect: original });
    }
  };

  it('before it has a channel is told as a failure', async () => {
    await assert.rejects(
      connectMeddled((connection) => connection.close()),
      /Connection clos/,
    );
  });

  it('between a channel and what is declared on it is told as a failure', async () => {
    const closeAfterChannel = (connection: Connection): void => {
      const create = connection.createChannel.bind(connection) as Create;
      const createChannel: Create = (callback) =>
        create((failure, channel) => {
          connection.close();
          callback(failure, channel);
        });
      Object.assign(connection, { createChannel });
    };
    await assert.rejects(connectMeddled(closeAfterChannel), /(?:Connection|Channel) clos/);
  });

  it('while rascal closes it is closed, and nothing else ends', async () => {
    const breakWhenItCloses = (connection: Connection): void => {
      const { stream } = connection.connection as unknown as { readonly stream: Socket };
      const forget = connection.removeAllListeners.bind(connection);
      const removeAllListeners = (...event: Parameters<typeof forget>): Connection => {
        // Of none in particular: that is the last that rascal does before it closes.
        if (event.length === 0) stream.emit('error', new Error('broken'));
        return forget(...event);
      };
      Object.assign(connection, { removeAllListeners });
    };
    const connection = await connectMeddled(breakWhenItCloses);
    await connection.close();
    assert.equal((await connection.lost).message, 'broken');
  });

  it('because it was closed twice is told to both, after the calls have returned', async () => {
    const connection = await new Promise<Connection>((resolve, reject) => {
      (amqplib.connect as Connect)(vhost.amqpUrl, {}, (failure, made) =>
        failure === null ? resolve(made) : reject(failure),
      );
    });
    let returned = false;
    const close = async (): Promise<unknown> =>
      await new Promise((resolve) => {
        connection.close((failure: unknown) => resolve(returned ? failure : 'too early'));
      });
    const told = Promise.all([close(), close()]);
    returned = true;
    const [first, second] = await told;
    assert.equal(first, null);
    assert.match(String(second), /Connection closing/);
  });

  it('before a channel of it is closed tells that to whoever closes it', async () => {
    let made: Channel | undefined;
    const keepChannel = (connection: Connection): void => {
      const create = connection.createChannel.bind(connection) as Create;
      const createChannel: Create = (callback) =>
        create((failure, channel) => {
          made = channel;
          callback(failure, channel);
        });
      Object.assign(connection, { createChannel });
    };
    const connection = await connectMeddled(keepChannel);
    await connection.close();
    const channel = made ?? assert.fail('it has no channel');
    const failure = await new Promise((resolve) => {
      channel.close(resolve);
    });
    assert.match(String(failure), /clos/);
    channel.close();
  });

  it('or does not, is as it was', async () => {
    const connection = await connectMeddled(() => undefined);
    await connection.close();
  });
});
