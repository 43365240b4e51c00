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

describe('a connection that closes while rascal uses it', () => {
  useSharedBroker();
  let vhost: TestVhost;
  before(async () => {
    vhost = await createVhost();
    patchAmqplibCallbacks();
  });

  const connect = async (): Promise<RascalConnection> => {
    const settings = { amqpUrl: new Secret(vhost.amqpUrl), vhost: vhost.vhost, connectionName: 'a test' };
    return await connectRascal(settings, { exchanges: ['one', 'two'], queues: ['three'] });
  };
  /** Connects, and tampers with the connection before rascal gets it. */
  const connectTampered = async (tamper: (connection: Connection) => void): Promise<RascalConnection> => {
    const original = amqplib.connect as Connect;
    const tampered: Connect = (url, options, callback) =>
      original(url, options, (failure, connection) => {
        if (failure === null) tamper(connection);
        callback(failure, connection);
      });
    Object.assign(amqplib, { connect: tampered });
    try {
      return await connect();
    } finally {
      Object.assign(amqplib, { connect: original });
    }
  };

  it('rejects when it closes before it has a channel', async () => {
    await assert.rejects(
      connectTampered((connection) => connection.close()),
      /Connection clos/,
    );
  });

  it('rejects when it closes between the channel and a declaration', async () => {
    const closeAfterChannel = (connection: Connection): void => {
      const create = connection.createChannel.bind(connection) as Create;
      const createChannel: Create = (callback) =>
        create((failure, channel) => {
          connection.close();
          callback(failure, channel);
        });
      Object.assign(connection, { createChannel });
    };
    await assert.rejects(connectTampered(closeAfterChannel), /(?:Connection|Channel) clos/);
  });

  it('closes when it breaks while rascal closes it', async () => {
    const breakWhenItCloses = (connection: Connection): void => {
      const { stream } = connection.connection as unknown as { readonly stream: Socket };
      const forget = connection.removeAllListeners.bind(connection);
      const removeAllListeners = (...event: Parameters<typeof forget>): Connection => {
        // Without an event: the last call of rascal before it closes.
        if (event.length === 0) stream.emit('error', new Error('broken'));
        return forget(...event);
      };
      Object.assign(connection, { removeAllListeners });
    };
    const connection = await connectTampered(breakWhenItCloses);
    await connection.close();
    assert.equal((await connection.lost).message, 'broken');
  });

  it('calls back both callers that close it, after their calls have returned', async () => {
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
    const closed = Promise.all([close(), close()]);
    returned = true;
    const [first, second] = await closed;
    assert.equal(first, null);
    assert.match(String(second), /Connection closing/);
  });

  it('calls back when a channel is closed after it', async () => {
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
    const connection = await connectTampered(keepChannel);
    await connection.close();
    const channel = made ?? assert.fail('it has no channel');
    const failure = await new Promise((resolve) => {
      channel.close(resolve);
    });
    assert.match(String(failure), /clos/);
    channel.close();
  });

  it('works as before when it does not close', async () => {
    const connection = await connectTampered(() => undefined);
    await connection.close();
  });
});
