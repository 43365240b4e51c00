import assert from 'node:assert/strict';
import { join } from 'node:path';
import { runCommand } from '../../dev/commands.ts';
import { runShell, useBlocks } from '../docs/blocks.ts';
import { TEAM, teamNamespace, useInstallation } from '../support/agent.ts';
import { makeFolder } from '../support/folders.ts';
import { buildGo, buildGoTests, type Go, GO_EXAMPLE, prepareGo } from '../support/go.ts';
import { runProgram } from '../support/program.ts';
import { behavesAsService } from './service-behaviour.ts';

const BUILD_MS = 600_000;

describe('examples/go', function () {
  this.timeout(90_000);
  let go: Go;
  let program: string;
  let tests: string;
  before('build it', async function () {
    this.timeout(BUILD_MS);
    go = prepareGo(this);
    program = await buildGo(go, makeFolder('go'), 'service');
    tests = await buildGoTests(go, makeFolder('go'));
  });

  const test = async (pattern: string, environment: Readonly<Record<string, string>> = {}): Promise<string> =>
    await runCommand(tests, ['-test.v', '-test.run', pattern], {
      cwd: join(GO_EXAMPLE, 'pulseagent'),
      env: { ...go.env, ...environment },
    });

  it('agrees with the protocol vectors', async function () {
    this.timeout(BUILD_MS);
    const output = await test('Signatures|Encodings|SealedResult');
    assert.equal(output.split('--- PASS').length - 1, 3, output);
  });

  it('passes go vet', async function () {
    this.timeout(BUILD_MS);
    await runCommand(go.command, ['vet', './...'], { cwd: GO_EXAMPLE, env: go.env });
  });

  behavesAsService(
    () => (environment, args) => runProgram(program, args, { cwd: GO_EXAMPLE, env: { ...environment } }),
    '-once',
    'hello from Go',
  );

  describe('README.md', () => {
    const blocks = useBlocks('examples/go/README.md');
    const installation = useInstallation();

    it('tests, and runs the service', async function () {
      this.timeout(BUILD_MS);
      const { claimantUrl, config, taskcluster } = installation();
      const env = {
        ...(go.env as Record<string, string>),
        PULSE_AGENT_ID: config.id,
        PULSE_AGENT_AUDIENCE: config.audience,
      };
      const { stdout } = await runShell(blocks.take('go test'), { cwd: GO_EXAMPLE, env });
      assert.match(stdout, /^ok /m);
      const { clientId, accessToken } = taskcluster.credentials(TEAM);
      const service = blocks.take('go run', {
        'amqp://pulse-agent-claimant:…@127.0.0.1:5672/pulse-agent': claimantUrl,
        'team-a/service': clientId,
        'for-development-only-team-a-service-00001': accessToken,
        'taskcluster-team-a': teamNamespace(),
      });
      assert.match((await runShell(service, { cwd: GO_EXAMPLE, env })).stdout, /received: hello from Go/);
    });
  });

  describe('the client', () => {
    const installation = useInstallation();
    const environment = (): Record<string, string> => ({
      PULSE_AGENT_URL: installation().claimantUrl,
      PULSE_AGENT_ID: installation().config.id,
    });

    it('handles results, errors, and an unknown method', async () => {
      assert.match(await test('Answers', environment()), /--- PASS: TestAnswers/);
    });

    it('times out when no agent runs', async () => {
      await installation().agent.stop();
      assert.match(await test('NoAgent', environment()), /--- PASS: TestNoAgent/);
    });
  });
});
