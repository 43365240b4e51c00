import assert from 'node:assert/strict';
import { readFileSync, readdirSync, readlinkSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type LocalRabbitMQ, startRabbitMQ } from '../../dev/rabbitmq.ts';
import { isAgentError } from '../../src/util/agent-errors.ts';
import { portIsFree } from '../../dev/processes.ts';
import { BROKER_START_MS, manage, openConnection } from '../support/broker.ts';
import { addRunCleanup } from '../support/cleanup.ts';
import { makeFolder } from '../support/folders.ts';
import { killMarked, markedProcesses } from '../support/leftovers.ts';

describe('a private RabbitMQ', function () {
  this.timeout(BROKER_START_MS);
  let broker: LocalRabbitMQ;

  before(async () => {
    broker = await startRabbitMQ({ folder: makeFolder('rabbitmq'), extraConfig: 'heartbeat = 17' });
    addRunCleanup(() => broker.kill());
    await manage(broker, 'PUT', '/vhosts/kept');
  });

  it('serves AMQP and the management API to its own user, with the extra configuration', async () => {
    const connection = await openConnection(broker.amqpUrl);
    const tuned = connection.connection as unknown as { heartbeat: number };
    assert.equal(tuned.heartbeat, 17);
    assert.notEqual(broker.user, 'guest');
    assert.ok(broker.password.length >= 20);
    const { body } = await manage(broker, 'GET', '/whoami');
    assert.equal((body as { name: string }).name, broker.user);
  });

  it('keeps its secrets in files that only their owner can read', () => {
    for (const name of ['rabbitmq.conf', 'identity.json', 'home/.erlang.cookie']) {
      assert.equal(statSync(join(broker.folder, name)).mode & 0o077, 0, name);
    }
  });

  it('listens on 127.0.0.1 only', () => {
    const pids = markedProcesses(homeOf(broker)).map(({ pid }) => pid);
    const addresses = listeningAddresses(pids);
    assert.ok(addresses.length >= 4, `AMQP, management, distribution and epmd, but found ${addresses.join(' ')}`);
    assert.deepEqual(
      addresses.filter((address) => address !== '127.0.0.1' && address !== '::1'),
      [],
    );
  });

  it('leaves no process and no open port when it stops', async () => {
    await broker.stop();
    await broker.stop();
    assert.deepEqual(await leftOf(broker), []);
    assert.equal(await portIsFree(broker.amqpPort), true);
    assert.equal(await portIsFree(broker.managementPort), true);
  });

  it('starts from its folder with the same data, user and ports', async () => {
    const again = await startRabbitMQ({ folder: broker.folder });
    addRunCleanup(() => again.kill());
    assert.equal(again.amqpUrl, broker.amqpUrl);
    await manage(again, 'GET', '/vhosts/kept');
    await again.kill();
    assert.deepEqual(await leftOf(again), []);
  });

  it('rejects with the path of its log when it does not start, and leaves no process', async () => {
    const folder = makeFolder('broken');
    await assert.rejects(startRabbitMQ({ folder, extraConfig: 'no.such.setting = 1' }), (error: Error) => {
      assert.ok(isAgentError(error, 'BrokerUnavailable'));
      return error.message.includes(join(folder, 'log'));
    });
    assert.deepEqual(await leftOf({ folder }), []);
  });

  it('aborts its start when the signal does, and leaves no process', async () => {
    const folder = makeFolder('aborted');
    const abort = new AbortController();
    const starting = startRabbitMQ({
      folder,
      signal: abort.signal,
      onProgress: (line) => line.startsWith('Starting') && abort.abort(),
    });
    await assert.rejects(starting, { name: 'AbortError' });
    assert.deepEqual(await leftOf({ folder }), []);
  });
});

/** The broker and its epmd have this HOME, and so do the processes that they start. */
function homeOf(broker: { folder: string }): string {
  return `HOME=${join(broker.folder, 'home')}`;
}

/** The processes that it left behind; the helpers of a node exit a moment after the node. */
async function leftOf(broker: { folder: string }): Promise<unknown[]> {
  return await killMarked(homeOf(broker), 2000);
}

/** The local addresses on which the processes listen, according to /proc. */
function listeningAddresses(pids: readonly number[]): string[] {
  const sockets = new Set(
    pids.flatMap((pid) =>
      readdirSync(`/proc/${pid}/fd`).map((fd) => {
        try {
          return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1];
        } catch {
          return undefined;
        }
      }),
    ),
  );
  const LISTEN = '0A';
  return ['tcp', 'tcp6'].flatMap((table) =>
    readFileSync(`/proc/net/${table}`, 'utf8')
      .split('\n')
      .map((line) => line.trim().split(/\s+/))
      .filter((fields) => fields[3] === LISTEN && sockets.has(fields[9]))
      .map((fields) => addressOf(fields[1] ?? '')),
  );
}

/** Decodes an address of /proc/net/tcp: hexadecimal in the machine's byte order, before a colon. */
function addressOf(local: string): string {
  const hex = local.split(':')[0] ?? '';
  if (hex === '00000000000000000000000001000000') return '::1';
  return hex.length === 8 ? [...Buffer.from(hex, 'hex')].toReversed().join('.') : hex;
}
