import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { spawnTied } from '../dev/processes.ts';
import { WORKING_COPY } from '../dev/working-copy.ts';
import { readCpuMs, readResident } from './process-figures.ts';
import type { Site } from './site.ts';

const POLL_EVERY_MS = 50;

/** Longer than a proxy takes to close its connections, in ms. */
const STOP_GRACE_MS = 10_000;

/** `pulse-agent proxy` of the built program, in its own process. */
export interface BuiltProxy {
  readonly url: string;
  /** The CPU time that all its threads have used, in ms. */
  readonly cpuMs: () => number;
  readonly memoryMb: () => number;
  /** How many files and sockets it has open. */
  readonly descriptors: () => number;
  stop(): Promise<void>;
}

/** Starts a proxy for this namespace, and waits until it listens. */
export async function startBuiltProxy(site: Site, namespace: string): Promise<BuiltProxy> {
  const outputFile = join(site.folder, 'proxy.log');
  const output = openSync(outputFile, 'w');
  const args = [site.program, 'proxy', '--namespace', namespace, '--listen', '127.0.0.1:0', '--json'];
  const proxy = await spawnTied(process.execPath, args, {
    cwd: WORKING_COPY,
    env: {
      PATH: process.env['PATH'],
      PULSE_AGENT_URL: site.requestAmqpUrl,
      TASKCLUSTER_CLIENT_ID: site.credentials.clientId,
      TASKCLUSTER_ACCESS_TOKEN: site.credentials.accessToken,
    },
    outputFd: output,
  });
  closeSync(output);
  for (;;) {
    const printed = readFileSync(outputFile, 'utf8');
    const [, url] = /"event":"listening".*"url":"([^"]+)"/.exec(printed) ?? [];
    if (url !== undefined) {
      return {
        url,
        cpuMs: () => readCpuMs(proxy.pid),
        memoryMb: () => readResident(proxy.pid, outputFile).ownMb,
        descriptors: () => readdirSync(`/proc/${proxy.pid}/fd`).length,
        stop: () => proxy.stop(STOP_GRACE_MS),
      };
    }
    if (!proxy.running()) throw new Error(`The proxy exited before it listened: ${printed}`);
    await sleep(POLL_EVERY_MS);
  }
}
