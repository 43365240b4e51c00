import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { freePorts } from '../../../dev/processes.ts';
import { makeInstallation, TEAM, teamNamespace, type TestInstallation } from '../../support/agent.ts';
import { BROKER_START_MS } from '../../support/broker.ts';
import { type CommandRun, runCommandLine } from '../../support/command-line.ts';
import { openEventStream } from '../../support/operator-stream.ts';

const TOKEN = randomBytes(33).toString('base64');
const CLIENTS = 200;
/** What an attack lasts for, in ms. */
const ATTACK_MS = 1_500;
/** What 200 connections may hold: what was read of each, and eight answers. Measured: 12 for large headers, 2 for others. */
const MAX_IN_USE_MIB = 32;

/** The first bytes that each client sends; some go on, one byte at a time. */
const AUTHORIZED = `host: localhost\r\nauthorization: Bearer ${TOKEN}\r\n`;
const ATTACKS: Readonly<Record<string, { readonly text: string; readonly isSlow?: true }>> = {
  'silent connections': { text: '' },
  'half requests that go on slowly': { text: 'GET /api/v1/overview HTTP/1.1\r\nhost: localhost\r\nx: ', isSlow: true },
  'bodies that go on slowly': { text: `POST / HTTP/1.1\r\n${AUTHORIZED}content-length: 9999\r\n\r\n`, isSlow: true },
  'streams that are not read': { text: `GET /api/v1/events HTTP/1.1\r\n${AUTHORIZED}\r\n` },
  'answers that are not read': { text: `GET /api/v1/health HTTP/1.1\r\n${AUTHORIZED}\r\n`.repeat(8) },
  'requests without waiting for answers': { text: `GET /api/v1/overview HTTP/1.1\r\n${AUTHORIZED}\r\n`.repeat(200) },
  'wrong tokens': { text: 'GET /api/v1/overview HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer x\r\n\r\n' },
  'large headers': { text: `GET / HTTP/1.1\r\nhost: localhost\r\nx: ${'x'.repeat(60_000)}` },
};

describe('attacks on the port of the page for operators', function () {
  this.timeout(180_000);
  let installation: TestInstallation;
  let agent: CommandRun;
  let port: number;

  before('start a built agent', async function () {
    this.timeout(BROKER_START_MS);
    [port = 0] = await freePorts(1);
    installation = await makeInstallation({
      settings: { httpPort: port, logLevel: 'warn' },
      environment: { PULSE_AGENT_OPERATOR_TOKEN: TOKEN },
    });
    const options = { NODE_OPTIONS: `--import=${resolve('test/support/memory-on-signal.js')}` };
    agent = await runCommandLine(['serve'], { ...installation.environment, ...options });
    for (;;) {
      const ready = await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => undefined);
      if (ready?.status === 200) break;
      await delay(100);
    }
  });
  after(async () => await installation.remove());

  let measured = 0;
  /** The memory in use of the agent, without garbage, in MiB. */
  const inUseMib = async (): Promise<number> => {
    measured += 1;
    agent.signal('SIGUSR2');
    await agent.printedAnywhere(`memory in use ${measured}: `);
    const [, bytes] = new RegExp(`^memory in use ${measured}: (\\d+) bytes$`, 'm').exec(agent.stderr()) ?? [];
    return Number(bytes) / 2 ** 20;
  };

  const open = (text: string): Socket => {
    const socket = connect({ port, host: '127.0.0.1' });
    socket.on('error', () => undefined);
    socket.pause();
    socket.write(text);
    return socket;
  };
  /** On a busy machine the agent may not be ready, and says so. */
  const assertHealthIsAnswered = async (): Promise<void> => {
    for (const [path, holds] of [
      ['/healthz', '"alive": true'],
      ['/readyz', '"ready": '],
      ['/metrics', 'pulse_agent_ready '],
    ] as const) {
      const response = await fetch(`http://127.0.0.1:${port}${path}`, {
        headers: { connection: 'close' },
        signal: AbortSignal.timeout(10_000),
      });
      const body = await response.text();
      assert.ok(body.includes(holds), `${path}: ${response.status} ${body}`);
    }
  };
  /**
   * Keeps this many clients that do this; each that is cut comes again. Returns the memory in use while they are there, in
   * MiB.
   */
  const attack = async ({ text, isSlow }: { readonly text: string; readonly isSlow?: true }): Promise<number> => {
    const sockets: (Socket | undefined)[] = Array.from({ length: CLIENTS }, () => undefined);
    const until = performance.now() + ATTACK_MS;
    try {
      while (performance.now() < until) {
        for (const [index, socket] of sockets.entries()) {
          if (socket === undefined || socket.destroyed) sockets[index] = open(text);
          else if (isSlow === true) socket.write('x');
        }
        await assertHealthIsAnswered();
        await delay(20);
      }
      return await inUseMib();
    } finally {
      for (const socket of sockets) socket?.destroy();
    }
  };

  for (const [what, how] of Object.entries(ATTACKS)) {
    it(`200 clients with ${what}: health is answered, clients claim, memory stays flat`, async () => {
      const before = await inUseMib();
      const claimed = (await installation.rpc(TEAM)).request('claim-namespace', { namespace: teamNamespace() });
      const [during] = await Promise.all([attack(how), claimed]);
      const grown = during - before;
      assert.ok(grown < MAX_IN_USE_MIB, `the attack holds ${grown.toFixed(1)} MiB of the agent`);
      // A client in order is served again as soon as they are gone.
      for (;;) {
        const { status, body } = await fetch(`http://127.0.0.1:${port}/api/v1/overview`, {
          headers: { authorization: `Bearer ${TOKEN}` },
        });
        await body?.cancel();
        if (status === 200) break;
        assert.equal(status, 503);
        await delay(50);
      }
      const streams = await Promise.allSettled(
        Array.from({ length: 4 }, () => openEventStream({ httpPort: port }, TOKEN)),
      );
      for (const stream of streams) if (stream.status === 'fulfilled') stream.value.close();
      assert.ok(!agent.stdout().includes(TOKEN));
    });
  }

  it('stops in order while clients hold the port', async () => {
    const sockets = Array.from({ length: 50 }, () => open(ATTACKS['streams that are not read']?.text ?? ''));
    await Promise.all(sockets.map((socket) => once(socket, 'connect')));
    agent.signal('SIGTERM');
    assert.equal(await agent.exited, 0);
    for (const socket of sockets) socket.destroy();
  });
});
