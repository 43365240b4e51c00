import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { type ConfirmChannel, connect } from 'amqplib';
import type { Lease } from '../../src/client/lease.ts';
import { AmqpProxy } from '../../src/proxy/amqp-proxy.ts';
import { TEAM, teamNamespace, useInstallation } from '../support/agent.ts';
import { cutConnections } from '../support/broker.ts';
import { addCleanup } from '../support/cleanup.ts';
import { makeFolder } from '../support/folders.ts';
import { runProgram } from '../support/program.ts';
import { preparePython, type Python } from '../support/python.ts';
import { waitUntil } from '../support/watched-installation.ts';

const ROTATIONS = 5;

/** A program that knows one URL: it publishes numbers with confirms and consumes them, and reconnects when it has to. */
const PIKA = `
import os, sys, time, pika
url, namespace = os.environ["AMQP_URL"], os.environ["NAMESPACE"]
queue, exchange = f"queue/{namespace}/numbers", f"exchange/{namespace}/numbers"
sent, received, logins, stop = 0, set(), 0, False
while not stop or len(received) < sent:
    try:
        connection = pika.BlockingConnection(pika.URLParameters(url))
        logins += 1
        print("login", flush=True)
        channel = connection.channel()
        channel.confirm_delivery()
        channel.exchange_declare(exchange, "fanout")
        channel.queue_declare(queue, durable=True)
        channel.queue_bind(queue, exchange)
        while not stop or len(received) < sent:
            stop = stop or os.path.exists(os.environ["STOP"])
            if not stop:
                channel.basic_publish(exchange, "", str(sent).encode(), mandatory=True)
                sent += 1
            method, _, body = channel.basic_get(queue)
            if method is not None:
                channel.basic_ack(method.delivery_tag)
                received.add(int(body))
            time.sleep(0.01)
        connection.close()
    except (pika.exceptions.ConnectionClosedByBroker, pika.exceptions.StreamLostError) as error:
        if getattr(error, "reply_code", 320) != 320: raise
print("done", sent, len(received), logins)
`;

describe('the AMQP proxy over rotations', function () {
  this.timeout(180_000);
  const installation = useInstallation({ settings: { rotationIntervalSeconds: 3 } });

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

  it('amqplib with one URL loses no message, and no login is refused', async () => {
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
      channel = opened;
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

  describe('with pika', () => {
    let python: Python;
    before('install pika', async function () {
      this.timeout(300_000);
      python = await preparePython(this);
    });

    it('loses no message, and no login is refused', async () => {
      const { lease, proxy, rotated } = await makeRotating();
      const stop = `${makeFolder('pika')}/stop`;
      const env = { ...python.env, AMQP_URL: proxy.url, NAMESPACE: lease.namespace, STOP: stop };
      const program = runProgram(python.command, ['-c', PIKA], { cwd: '.', env });
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
      assert.equal(await program.exited, 0);
    });
  });
});
