import assert from 'node:assert/strict';
import { pathToFileURL } from 'node:url';
import { builtFile } from '../support/built-agent.ts';
import { runCommandLine } from '../support/command-line.ts';
import { makeFolder } from '../support/folders.ts';
import { runProgram } from '../support/program.ts';

const PASSWORD = 'a-password-that-is-never-printed';

describe('NODE_DEBUG=pulse-agent', function () {
  this.timeout(60_000);

  it('prints the stack of a failed step of verify, with lines of the sources', async () => {
    const run = await runCommandLine(['verify', '--no-end-to-end'], {
      NODE_DEBUG: 'pulse-agent',
      NODE_OPTIONS: '--enable-source-maps',
      RABBITMQ_URL: `amqp://agent:${PASSWORD}@127.0.0.1:1/%2F`,
      TASKCLUSTER_ROOT_URL: 'http://127.0.0.1:1',
      STORE_URL: `lmdb:${makeFolder('debug')}`,
      PULSE_AGENT_SECRET: PASSWORD.repeat(2),
    });
    assert.equal(await run.exited, 1);
    assert.match(run.stderr(), /^PULSE-AGENT \d+: \w+: RabbitMQ.*ECONNREFUSED.*\n {4}at .*\/src\/.+\.ts:\d+:\d+/m);
    assert.match(run.stdout(), /^FAIL {2}/m);
    assert.ok(!`${run.stderr()}${run.stdout()}`.includes(PASSWORD));
  });

  it('prints no credentials of a URL in the message of an error or of its cause', async () => {
    const cause = `new Error('connect amqp://agent:${PASSWORD}@host/')`;
    const error = `new Error('GET http://agent:${PASSWORD}@host/api', { cause: ${cause} })`;
    const file = pathToFileURL(await builtFile('src/cli/explain-error.js')).href;
    const script = `import { debugError } from ${JSON.stringify(file)}; debugError(${error});`;
    const env = { ...process.env, NODE_DEBUG: 'pulse-agent' };
    const program = runProgram(process.execPath, ['--input-type=module', '-e', script], {
      cwd: process.cwd(),
      env,
    });
    assert.equal(await program.exited, 0, program.output());
    assert.match(program.output(), /GET http:\/\/…@host\/api[^]*caused by Error: connect amqp:\/\/…@host\//);
    assert.ok(!program.output().includes(PASSWORD));
  });
});
