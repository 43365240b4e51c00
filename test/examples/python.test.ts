import assert from 'node:assert/strict';
import { join, resolve } from 'node:path';
import { runCommand } from '../../dev/commands.ts';
import { runShell, useBlocks } from '../docs/blocks.ts';
import { TEAM, teamNamespace, useInstallation } from '../support/agent.ts';
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

  it('agrees with the protocol vectors', async () => {
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

  describe('README.md', () => {
    const blocks = useBlocks('examples/python/README.md');
    const installation = useInstallation();
    let env: Record<string, string>;
    beforeEach(() => {
      const { config } = installation();
      // The packages are in the tests' cache.
      const { PYTHONPATH = '' } = python.env;
      env = { PYTHONPATH, PYTHONDONTWRITEBYTECODE: '1', PYTHONUTF8: '1', PULSE_AGENT_ID: config.id };
      env['PULSE_AGENT_AUDIENCE'] = config.audience;
    });

    it('installs, and checks the vectors', async () => {
      const packages = String(env['PYTHONPATH']);
      // The packages are already installed, so pip only confirms them.
      Object.assign(env, { PIP_CACHE_DIR: resolve('.cache/python/pip'), PIP_NO_COMPILE: '1' });
      const block = blocks.take('check_vectors.py', { packages, python3: python.command });
      const { stdout } = await runShell(block, { cwd: PYTHON_EXAMPLE, env });
      assert.match(stdout, /vectors agree/);
    });

    it('runs the service', async () => {
      const { claimantUrl, taskcluster } = installation();
      const { clientId, accessToken } = taskcluster.credentials(TEAM);
      const block = blocks.take('service.py --once', {
        'amqp://pulse-agent-claimant:…@127.0.0.1:5672/pulse-agent': claimantUrl,
        'team-a/service': clientId,
        'for-development-only-team-a-service-00001': accessToken,
        'taskcluster-team-a': teamNamespace(),
        python3: python.command,
      });
      assert.match((await runShell(block, { cwd: PYTHON_EXAMPLE, env })).stdout, /received: hello from Python/);
    });
  });

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

    it('handles results, errors, and an unknown method', async () => {
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

    it('times out when no agent runs', async () => {
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
