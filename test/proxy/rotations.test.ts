import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type ChannelModel, type ConfirmChannel, connect } from 'amqplib';
import { findExecutable } from '../../dev/processes.ts';
import type { Lease } from '../../src/client/lease.ts';
import { AmqpProxy } from '../../src/proxy/amqp-proxy.ts';
import { TEAM, teamNamespace, useInstallation } from '../support/agent.ts';
import { cutConnections } from '../support/broker.ts';
import { addCleanup } from '../support/cleanup.ts';
import { concurrentTests } from '../support/concurrent-tests.ts';
import { makeFolder } from '../support/folders.ts';
import { buildGoProgram, prepareGo } from '../support/go.ts';
import { runProgram } from '../support/program.ts';
import { skipBecause } from '../support/skip.ts';
import { preparePython, type Python } from '../support/python.ts';
import { waitUntil } from '../support/watched-installation.ts';

const ROTATIONS = 5;
const OUTCOME = 'with one URL loses no message, and no login is refused';

const PYTHON = findExecutable('python3');
const GO = findExecutable('go');

/** The programs in other languages. */
const CLIENTS = resolve('test/proxy/clients');

describe('the AMQP proxy over rotations', function () {
  this.timeout(180_000);
  const installation = useInstallation({ settings: { rotationIntervalSeconds: 2 } });

  /** A proxy, and what cuts each connection of its namespace after each rotation. */
  async function makeRotating(): Promise<{
    lease: Lease;
    proxy: AmqpProxy;
    rotated: (count: number) => Promise<void>;
  }> {
    const lease = await installation().client(TEAM).lease({ namespace: teamNamespace() });
    const proxy = new AmqpProxy({ lease, host: '127.0.0.1', port: 0 });
    await proxy.start();
    addCleanup(() => proxy.close('The test is over.'));
    let changes = 0;
    let user = new URL(lease.connectionString).username;
    lease.on('renewed', ({ changed }) => {
      if (!changed) return;
      changes += 1;
      const old = user;
      user = new URL(lease.connectionString).username;
      void cutConnections(installation().broker, old);
    });
    return { lease, proxy, rotated: (count) => waitUntil(() => changes >= count, `${count} rotations`) };
  }

  /** Runs a program with the URL of a proxy, as `test/proxy/clients/` has them, through the rotations. */
  async function runNumbers(command: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<void> {
    const { lease, proxy, rotated } = await makeRotating();
    const stop = join(makeFolder('numbers'), 'stop');
    const program = runProgram(command, args, {
      cwd: CLIENTS,
      env: { ...env, AMQP_URL: proxy.url, NAMESPACE: lease.namespace, STOP: stop },
    });
    await program.printed('login');
    await rotated(ROTATIONS);
    writeFileSync(stop, '');
    await program.printed('done');
    const [, sent = 0, received = 0, logins = 0] =
      program
        .output()
        .match(/done (\d+) (\d+) (\d+)/)
        ?.map(Number) ?? [];
    assert.ok(sent > 100 && logins > 2, `${sent} messages, ${logins} logins`);
    assert.equal(received, sent);
    assert.equal(await program.exited, 0, program.output());
  }

  let python: Python | undefined;
  let goProgram: string | undefined;
  before('install and build the programs', async function () {
    this.timeout(600_000);
    if (PYTHON !== undefined) python = await preparePython(this, join(CLIENTS, 'requirements.txt'));
    if (GO !== undefined) {
      goProgram = await buildGoProgram(prepareGo(this), join(CLIENTS, 'numbers.go'), makeFolder('numbers-go'));
    }
  });

  concurrentTests((it) => {
    it(`amqplib ${OUTCOME}`, async () => {
      const { lease, proxy, rotated } = await makeRotating();
      const { url } = proxy;
      const [queue, exchange] = [`queue/${lease.namespace}/numbers`, `exchange/${lease.namespace}/numbers`];
      const received = new Set<number>();
      let logins = 0;
      let channel: ConfirmChannel | undefined;
      const ends: string[] = [];
      const open = async (): Promise<void> => {
        const connection = await connect(url);
        logins += 1;
        connection.on('error', () => undefined);
        connection.once('close', (reason?: Error) => {
          ends.push(reason?.message ?? 'closed');
          channel = undefined;
        });
        try {
          channel = await setUp(connection);
        } catch (error) {
          // It was cut right then.
          assert.match((error as Error).message, /320|closed/i);
        }
      };
      const setUp = async (connection: ChannelModel): Promise<ConfirmChannel> => {
        const opened = await connection.createConfirmChannel();
        opened.on('error', () => undefined);
        await opened.assertExchange(exchange, 'fanout');
        await opened.assertQueue(queue);
        await opened.bindQueue(queue, exchange, '');
        await opened.consume(queue, (message) => {
          if (message === null) return;
          opened.ack(message);
          received.add(Number(message.content.toString()));
        });
        return opened;
      };
      const confirmed: number[] = [];
      const enough = new AbortController();
      const publishing = (async () => {
        for (let number = 0; !enough.signal.aborted; number += 1) {
          // Published again until it is confirmed.
          for (let isConfirmed = false; !isConfirmed; ) {
            if (channel === undefined) await open();
            channel?.publish(exchange, '', Buffer.from(String(number)));
            isConfirmed =
              (await channel?.waitForConfirms().then(
                () => true,
                () => false,
              )) ?? false;
          }
          confirmed.push(number);
          await delay(5);
        }
      })();
      await Promise.race([rotated(ROTATIONS), publishing]);
      enough.abort();
      await publishing;
      await waitUntil(() => confirmed.every((number) => received.has(number)), 'everything received');
      assert.ok(logins > 2 && confirmed.length > 100, `${logins} logins, ${confirmed.length} messages`);
      for (const end of ends) assert.match(end, /320|CONNECTION_FORCED/);
    });

    if (PYTHON !== undefined) {
      for (const client of ['pika', 'kombu']) {
        it(`${client} ${OUTCOME}`, async () => {
          await runNumbers(python?.command ?? '', [`numbers_${client}.py`], python?.env ?? {});
        });
      }
    }
    if (GO !== undefined) {
      it(`amqp091-go ${OUTCOME}`, async () => {
        await runNumbers(goProgram ?? '', [], process.env);
      });
    }
  });

  for (const [client, language, command] of [
    ['pika', 'python3', PYTHON],
    ['kombu', 'python3', PYTHON],
    ['amqp091-go', 'go', GO],
  ]) {
    if (command !== undefined) continue;
    it(`${client} ${OUTCOME}`, function () {
      skipBecause(this, `there is no ${language} on this machine`);
    });
  }
});
