import assert from 'node:assert/strict';
import { resolve } from 'node:path';
import { NEWCOMER, REVOKER, TEAM, useInstallation } from '../support/agent.ts';
import { unique } from '../support/folders.ts';
import { runProgram } from '../support/program.ts';
import { preparePython, type Python } from '../support/python.ts';

describe('a foreign client, in Python', function () {
  this.timeout(180_000);
  let python: Python;
  before('install what it needs', async function () {
    this.timeout(300_000);
    python = await preparePython(this);
  });
  // Short, so that a released name can be claimed again soon.
  const installation = useInstallation({ settings: { rotationIntervalSeconds: 8 } });

  it('finds every sentence of the contract kept', async () => {
    const { claimantUrl, config, taskcluster, vhost } = installation();
    const client = (clientId: string): string => {
      const { accessToken } = taskcluster.credentials(clientId);
      return JSON.stringify([clientId, accessToken]);
    };
    const run = runProgram(python.command, ['contract.py'], {
      cwd: resolve('test/conformance'),
      env: {
        ...python.env,
        PULSE_AGENT_ID: config.id,
        PULSE_AGENT_AUDIENCE: config.audience,
        CLAIMANT_URL: claimantUrl,
        ADMIN_URL: vhost.requestUrl,
        NAMESPACE_PREFIX: `${unique('taskcluster-team')}-`,
        TEAM: client(TEAM),
        NEWCOMER: client(NEWCOMER),
        OPERATOR: client(REVOKER),
      },
    });
    assert.equal(await run.exited, 0, run.output());
    assert.ok(run.output().split('ok  ').length > 15, run.output());
  });
});
