import assert from 'node:assert/strict';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from 'amqplib';
import { PulseAgentClient } from '../src/client/client.ts';
import { AmqpProxy } from '../src/proxy/amqp-proxy.ts';
import type { LocalInstallation } from './local-installation.ts';
import type { Steps } from './steps.ts';

const NAMESPACE = 'taskcluster-team-a-proxied';
const QUEUE = `queue/${NAMESPACE}/numbers`;
const EXCHANGE = `exchange/${NAMESPACE}/numbers`;
const ROTATIONS = 2;
/** The program opens its next connection after this, in ms. */
const CONNECTED_MS = 1000;
const PUBLISH_EVERY_MS = 50;

/** A proxy with a program that connects to it, which run beside the steps of the demo. */
export interface DemoProxy {
  /** The step that waits for the rotations and checks what the program did. */
  finish(): Promise<void>;
  stop(): Promise<void>;
}

/**
 * Starts a proxy, as `pulse-agent proxy` does, and a program that knows one URL for ever, without the library.
 *
 * @throws Error when a step fails
 */
export async function startDemoProxy(
  { claimantUrl, taskcluster }: LocalInstallation,
  steps: Steps,
  signal: AbortSignal,
): Promise<DemoProxy> {
  const client = new PulseAgentClient({ url: claimantUrl, credentials: taskcluster.credentials('team-a/service') });
  let proxy: AmqpProxy | undefined;
  const enough = new AbortController();
  const stopped = AbortSignal.any([signal, enough.signal]);
  const stop = async (): Promise<void> => {
    enough.abort();
    await proxy?.close('The demo is over.');
    await client.close();
  };
  try {
    const accounts: string[] = [];
    const program = await steps.run(`Start a proxy for ${NAMESPACE}, and a program with a fixed URL`, async (print) => {
      const lease = await client.lease({ namespace: NAMESPACE }, { signal });
      const addAccount = (): void => void accounts.push(new URL(lease.connectionString).username);
      addAccount();
      lease.on('renewed', ({ changed }) => changed && addAccount());
      proxy = new AmqpProxy({ lease, host: '127.0.0.1', port: 0 });
      await proxy.start();
      const url = new URL(proxy.url);
      url.username = 'guest';
      url.password = 'any';
      print(`the program connects to ${url.href}`);
      const over = runProgram(url.href, stopped);
      // The step that waits for it reports it.
      over.catch(() => undefined);
      return { over };
    });
    const finish = async (): Promise<void> => {
      await steps.run(`Let the program work through ${ROTATIONS} rotations`, async (print) => {
        while (accounts.length <= ROTATIONS) {
          await Promise.race([program.over, sleep(PUBLISH_EVERY_MS, undefined, { signal })]);
        }
        enough.abort();
        const { connections, published, received } = await program.over;
        assert.equal(received, published, 'messages were lost');
        print(`${connections} connections with one URL, as ${accounts.join(', ')}; ${published} messages, none lost`);
      });
    };
    return { finish, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

interface ProgramCounts {
  readonly connections: number;
  readonly published: number;
  readonly received: number;
}

/** Publishes numbers and consumes them, over one connection after the other. When it is stopped, it consumes the rest. */
async function runProgram(url: string, stopped: AbortSignal): Promise<ProgramCounts> {
  const received = new Set<number>();
  let [connections, published] = [0, 0];
  while (!stopped.aborted || received.size < published) {
    const connection = await connect(url);
    connections += 1;
    const closed = once(connection, 'close');
    connection.on('error', () => undefined);
    const channel = await connection.createConfirmChannel();
    await channel.assertExchange(EXCHANGE, 'fanout');
    await channel.assertQueue(QUEUE);
    await channel.bindQueue(QUEUE, EXCHANGE, '');
    await channel.consume(QUEUE, (message) => {
      if (message === null) return;
      received.add(Number(message.content));
      channel.ack(message);
    });
    const untilMs = performance.now() + CONNECTED_MS;
    while (performance.now() < untilMs) {
      if (!stopped.aborted) {
        channel.publish(EXCHANGE, '', Buffer.from(String(published)));
        await channel.waitForConfirms();
        published += 1;
      } else if (received.size >= published) break;
      await sleep(PUBLISH_EVERY_MS);
    }
    await connection.close();
    await closed;
  }
  return { connections, published, received: received.size };
}
