import { rmSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { type LocalInstallation, startLocalInstallation } from './local-installation.ts';
import { createSteps } from './steps.ts';
import { walkThrough } from './walk-through.ts';
import { walkThroughLife } from './walk-through-life.ts';
import { walkThroughWatching } from './walk-through-watching.ts';
import { WORKING_COPY } from './working-copy.ts';

const keep = process.argv.includes('--keep');
const steps = createSteps((line) => console.log(line));
const interrupted = new AbortController();
const whenInterrupted = new Promise<void>((resolve) => {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    // Not once: Ctrl-C in a terminal arrives twice, by itself and passed on by bootstrap.js.
    process.on(signal, () => {
      interrupted.abort(new Error('The demo was interrupted.'));
      resolve();
    });
  }
});

/** Where another terminal finds what a client needs; of two demos that are kept, that of the later one. */
const CLIENT_ENVIRONMENT = join(WORKING_COPY, '.cache/demo.env');

/** The process of one demo has a folder of its own, so that two can run side by side. */
const folder = join(WORKING_COPY, `.cache/demo-${process.pid}`);

try {
  const installation = await startLocalInstallation(folder, steps, interrupted.signal);
  try {
    await walkThrough(installation, steps, interrupted.signal);
    await walkThroughLife(installation, steps, interrupted.signal);
    await walkThroughWatching(installation, steps, interrupted.signal);
    if (keep) {
      writeFileSync(CLIENT_ENVIRONMENT, exportsOf(clientEnvironment(installation)), { mode: 0o600 });
      try {
        tellHowToTalkToIt(installation);
        await whenInterrupted;
      } finally {
        rmSync(CLIENT_ENVIRONMENT, { force: true });
      }
    }
  } finally {
    await steps.run('Stop everything', () => installation.stop());
  }
  console.log(`\nThe demo did what it says: ${steps.done} steps.`);
} catch (error) {
  console.error(`\nThe demo failed: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}

function tellHowToTalkToIt({ environment, claimantUrl, broker, logFile }: LocalInstallation): void {
  console.log(`
Everything keeps running until Ctrl-C, sped up: credentials are rotated every ten seconds, and a queue is large when it
holds some hundred messages.

  The environment of a client      . ${relative(process.cwd(), CLIENT_ENVIRONMENT)}
  A client's first claim goes to   ${claimantUrl}
  Clients and their scopes         config/dev-taskcluster.yml
  RabbitMQ in a browser            ${broker.managementUrl} (${broker.user} / ${broker.password})
  The agent's log                  ${logFile}

The environment of this installation, for commands of operators:
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
