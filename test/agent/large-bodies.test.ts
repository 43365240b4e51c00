import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { makeInstallation, type TestInstallation } from '../support/agent.ts';
import { useSharedBroker } from '../support/broker.ts';
import { runCommandLine } from '../support/command-line.ts';

const MIB = 2 ** 20;
const CLIENTS = 8;
/** Measured: 6 to 17 MiB with the limit, 96 MiB without it. */
const MAX_GROWTH_MIB = 40;

/** The largest resident set of a process so far, in MiB. */
function peakMib(pid: number): number {
  const [, kib] = /^VmHWM:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kib) / 1024;
}

describe('requests with large bodies by the claimant', function () {
  this.timeout(180_000);
  useSharedBroker();

  /** Sends large requests over several connections, on each one after the other, and checks the replies. */
  const flood = async (installation: TestInstallation, bodyBytes: number, requestsEach: number): Promise<void> => {
    const body = Buffer.alloc(bodyBytes, ' ');
    const send = async (): Promise<void> => {
      const requester = await installation.requester();
      for (let sent = 0; sent < requestsEach; sent += 1) {
        const { json } = await requester.request({ method: 'ping', body });
        assert.equal(json['code'], 'InputError');
        assert.match(String(json['message']), new RegExp(`at most 16384 bytes; it has ${bodyBytes}`));
      }
      await requester.connection.close();
    };
    await Promise.all(Array.from({ length: CLIENTS }, send));
  };

  it('are answered with an InputError, and the agent never holds their bodies', async () => {
    const installation = await makeInstallation();
    const run = await runCommandLine(['serve'], installation.environment);
    await run.printed('agent_started');
    const { pid } = JSON.parse(run.stdout().split('\n')[0] ?? '') as { pid: number };
    const rpc = await installation.rpc();
    // What is read from the socket is garbage, of which V8 lets 64 MiB pile up before it collects any.
    await flood(installation, MIB, 16);
    const before = peakMib(pid);
    await flood(installation, 16 * MIB, 3);
    const grown = Math.round(peakMib(pid) - before);
    assert.ok(grown < MAX_GROWTH_MIB, `the agent grew by ${grown} MiB`);
    assert.equal((await rpc.request('ping', {})).alive, true);
    run.signal('SIGTERM');
    assert.equal(await run.exited, 0);
  });
});
