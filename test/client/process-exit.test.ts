import assert from 'node:assert/strict';
import { pathToFileURL } from 'node:url';
import { TEAM, teamNamespace, useInstallation } from '../support/agent.ts';
import { builtFile } from '../support/built-agent.ts';
import { runProgram } from '../support/program.ts';

describe('a process with a client', function () {
  this.timeout(120_000);
  const installation = useInstallation();

  async function start(script: string) {
    const { config, taskcluster, claimantUrl } = installation();
    const options = {
      url: claimantUrl,
      id: config.id,
      audience: config.audience,
      credentials: taskcluster.credentials(TEAM),
    };
    const library = pathToFileURL(await builtFile('src/client/index.js')).href;
    const text = `import { PulseAgentClient } from ${JSON.stringify(library)};
      const client = new PulseAgentClient(${JSON.stringify(options)});
      ${script}`;
    return runProgram(process.execPath, ['--input-type=module', '-e', text], { cwd: process.cwd(), env: process.env });
  }

  it('ends by itself after its last call, and not while it holds a lease', async () => {
    const lease = `await client.lease({ namespace: ${JSON.stringify(teamNamespace())} })`;
    const holding = await start(`
      const lease = ${lease};
      process.on('SIGTERM', () => lease.stop());
      console.log('held');`);
    await holding.printed('held');
    let isOver = false;
    void holding.exited.then(() => (isOver = true));
    const calling = await start('await client.ping();');
    assert.equal(await calling.exited, 0, calling.output());
    // It has used its connection earlier than the other one.
    assert.ok(!isOver, holding.output());
    holding.signal('SIGTERM');
    assert.equal(await holding.exited, 0, holding.output());
  });
});
