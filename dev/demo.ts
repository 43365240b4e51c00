import { rmSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { Command } from 'commander';
import { type LocalInstallation, startLocalInstallation } from './local-installation.ts';
import { createSteps } from './steps.ts';
import { demoClaim } from './demo-claim.ts';
import { demoLifecycle } from './demo-lifecycle.ts';
import { startDemoProxy } from './demo-proxy.ts';
import { demoQueues } from './demo-queues.ts';
import { startTraffic } from './demo-traffic.ts';
import { WORKING_COPY } from './working-copy.ts';

const { keep } = new Command('npm run demo --')
  .description('Starts a broker, a Taskcluster and an agent on this machine, and shows what clients and owners see.')
  .option('--keep', 'keep all of it running afterwards', false)
  .parse()
  .opts<{ keep: boolean }>();
const steps = createSteps((line) => console.log(line));
const interrupted = new AbortController();
const whenInterrupted = new Promise<void>((resolve) => {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    // `on`, not `once`: Ctrl-C arrives twice, from the terminal and from bootstrap.js.
    process.on(signal, () => {
      interrupted.abort(new Error('It was interrupted.'));
      resolve();
    });
  }
});

/** The environment of a client, for another terminal. The latest demo with `--keep` writes it. */
const CLIENT_ENVIRONMENT = join(WORKING_COPY, '.cache/demo.env');

/** Each demo has its own folder, so that two can run at the same time. */
const folder = join(WORKING_COPY, `.cache/demo-${process.pid}`);

try {
  const installation = await startLocalInstallation(folder, steps, interrupted.signal);
  try {
    await demoClaim(installation, steps, interrupted.signal);
    const proxy = await startDemoProxy(installation, steps, interrupted.signal);
    try {
      await demoLifecycle(installation, steps, interrupted.signal);
      await demoQueues(installation, steps, interrupted.signal);
      await proxy.finish();
    } finally {
      await proxy.stop();
    }
    if (keep) {
      const traffic = await steps.run('Start services that publish and consume', () =>
        startTraffic(installation, interrupted.signal),
      );
      writeFileSync(CLIENT_ENVIRONMENT, exportsOf(clientEnvironment(installation)), { mode: 0o600 });
      try {
        printUsage(installation);
        await whenInterrupted;
      } finally {
        rmSync(CLIENT_ENVIRONMENT, { force: true });
        await traffic.stop();
      }
    }
  } finally {
    await steps.run('Stop everything', () => installation.stop());
  }
  console.log(`\nThe demo succeeded: all ${steps.done} steps passed.`);
} catch (error) {
  // What an interrupted step throws says less than the reason.
  const cause: unknown = interrupted.signal.aborted ? interrupted.signal.reason : error;
  console.error(`\nThe demo failed: ${cause instanceof Error ? cause.message : String(cause)}`);
  process.exitCode = 1;
}

function printUsage({ environment, claimantUrl, broker, logFile, pageUrl }: LocalInstallation): void {
  console.log(`
The installation runs until Ctrl-C. Its intervals and thresholds are small: credentials rotate every 10 seconds, and
owners are warned at 500 messages in a queue.

  Page for operators               ${pageUrl}
  Environment of a client          . ${relative(process.cwd(), CLIENT_ENVIRONMENT)}
  Broker URL for a first claim     ${claimantUrl}
  Taskcluster clients and scopes   config/dev-taskcluster.yml
  RabbitMQ management              ${broker.managementUrl} (${broker.user} / ${broker.password})
  Log of the agent                 ${logFile}

The environment of the agent, for operators' commands such as npx pulse-agent verify:
${exportsOf(environment)}`);
}

function clientEnvironment({ claimantUrl, taskcluster }: LocalInstallation): Readonly<Record<string, string>> {
  const { clientId, accessToken } = taskcluster.credentials('team-a/service');
  return { PULSE_AGENT_URL: claimantUrl, TASKCLUSTER_CLIENT_ID: clientId, TASKCLUSTER_ACCESS_TOKEN: accessToken };
}

function exportsOf(environment: Readonly<Record<string, string>>): string {
  return Object.entries(environment)
    .map(([name, value]) => `  export ${name}='${value}'\n`)
    .join('');
}
