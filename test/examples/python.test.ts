import assert from 'node:assert/strict';
import { join } from 'node:path';
import { runCommand } from '../../src/dev/commands.ts';
import { TEAM, useInstallation } from '../support/agent.ts';
import { runProgram } from '../support/program.ts';
import { preparePython, type Python, PYTHON_EXAMPLE } from '../support/python.ts';
import { behavesAsService } from './service-behaviour.ts';

const INSTALL_MS = 300_000;

describe('examples/python', function () {
  this.timeout(90_000);
  let python: Python;
  before('install what it needs', async function () {
    this.timeout(INSTALL_MS);
    python = await preparePython(this);
  });

  it('agrees with the vectors of the contract', async () => {
    const args = [join(PYTHON_EXAMPLE, 'check_vectors.py'), 'docs/protocol-vectors.json'];
    assert.match(await runCommand(python.command, args, { env: python.env }), /^[0-9]{2,} vectors agree$/);
  });

  behavesAsService(
    () => (environment, args) =>
      runProgram(python.command, ['service.py', ...args], {
        cwd: PYTHON_EXAMPLE,
        env: { ...python.env, ...environment },
      }),
    '--once',
    'hello from Python',
  );

  describe('the client', () => {
    const installation = useInstallation();

    const runScript = async (lines: readonly string[]): Promise<string[]> => {
      const { claimantUrl, config, taskcluster } = installation();
      const { clientId, accessToken } = taskcluster.credentials(TEAM);
      const script = [
        'from pulse_agent import *',
        `credentials = Credentials(${JSON.stringify(clientId)}, ${JSON.stringify(accessToken)})`,
        `agent = Agent(${JSON.stringify(claimantUrl)}, credentials, ${JSON.stringify(config.id)}, ${JSON.stringify(config.audience)})`,
        ...lines,
      ].join('\n');
      const output = await runCommand(python.command, ['-c', script], { cwd: PYTHON_EXAMPLE, env: python.env });
      return output.split('\n');
    };

    it('understands results and errors, and a method that the agent does not have', async () => {
      const output = await runScript([
        'print(agent.request("ping", {})["alive"])',
        'for method, body in [("get-namespace", {"namespace": "taskcluster-team-none"}),',
        '        ("get-namespace", {"namespace": "other"}), ("transfer-namespace", {"namespace": "taskcluster-team"})]:',
        '    try:',
        '        agent.request(method, body)',
        '    except PulseAgentError as error:',
        '        print(error.code, error.retryable, error.details.get("field"))',
      ]);
      assert.deepEqual(output, [
        'True',
        'ResourceNotFound False None',
        'InputError False namespace',
        'InputError False method',
      ]);
    });

    it('gives up in time when no agent runs', async () => {
      await installation().agent.stop();
      const output = await runScript([
        'agent.timeout = 0.5',
        'try:',
        '    agent.request("ping", {})',
        'except NoReply as error:',
        '    print(error.code, error.retryable)',
      ]);
      assert.deepEqual(output, ['Unavailable True']);
    });
  });
});
