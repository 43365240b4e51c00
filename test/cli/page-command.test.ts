import assert from 'node:assert/strict';
import { type CommandResult, runToEnd } from '../support/command-line.ts';
import { GOOD_ENV } from '../support/config-files.ts';

const TOKEN = 'the-token-of-operators-0123456789+/=';
const ENV = { ...GOOD_ENV, HTTP_PORT: '8080', PULSE_AGENT_OPERATOR_TOKEN: TOKEN };
const FRAGMENT = '/#token=the-token-of-operators-0123456789%2B%2F%3D';

async function runPage(args: readonly string[], env: Record<string, string>): Promise<CommandResult> {
  return await runToEnd(['page', ...args], env);
}

describe('page', function () {
  this.timeout(60_000);

  it('prints the link with the token in the fragment', async () => {
    const printed = await runPage([], ENV);
    assert.deepEqual(printed, { exitCode: 0, stdout: `http://127.0.0.1:8080${FRAGMENT}\n`, stderr: '' });
    const { searchParams } = new URL(`http://x/?${new URL(printed.stdout).hash.slice(1)}`);
    assert.equal(searchParams.get('token'), TOKEN);
    const { stdout } = await runPage(['--json'], ENV);
    assert.deepEqual(JSON.parse(stdout), { url: `http://127.0.0.1:8080${FRAGMENT}`, warnings: [] });
  });

  for (const [host, link, warning] of [
    ['0.0.0.0', 'http://localhost:8080', /at 0\.0\.0\.0, without TLS/],
    ['::', 'http://localhost:8080', /at ::, without TLS/],
    ['::1', 'http://[::1]:8080', /^$/],
    ['agent-1', 'http://agent-1:8080', /token crosses the network in the clear[^]*at agent-1, without TLS/],
  ] as const) {
    it(`with HTTP_HOST=${host}`, async () => {
      const { stdout, stderr } = await runPage([], { ...ENV, HTTP_HOST: host });
      assert.equal(stdout, `${link}${FRAGMENT}\n`);
      assert.match(stderr, warning);
    });
  }

  it('takes the address of a reverse proxy, and says which hosts the agent must allow', async () => {
    const args = ['--url', 'https://pulse.example.com/agent/'];
    const { stdout, stderr } = await runPage(args, ENV);
    assert.equal(stdout, `https://pulse.example.com/agent${FRAGMENT}\n`);
    assert.match(stderr, /^If the reverse proxy passes the host pulse\.example\.com on.*PULSE_AGENT_OPERATOR_HOSTS/);
    const known = await runPage(args, { ...ENV, PULSE_AGENT_OPERATOR_HOSTS: 'pulse.example.com' });
    assert.equal(known.stderr, '');
  });

  for (const [what, args, env, message] of [
    ['no token', [], { PULSE_AGENT_OPERATOR_TOKEN: '' }, /is off: set PULSE_AGENT_OPERATOR_TOKEN/],
    ['no port', [], { HTTP_PORT: '' }, /is not served: set HTTP_PORT/],
    ['any port', [], { HTTP_PORT: '0' }, /give --url with the port that the log line http_server_started/],
    ['an address of another form', ['--url', 'pulse.example.com'], {}, /--url must be a URL/],
    ['an address with a password', ['--url', 'https://a:b@pulse.example.com'], {}, /no user and no password/],
  ] as const) {
    it(`says what to do with ${what}`, async () => {
      const { exitCode, stdout, stderr } = await runPage(args, { ...ENV, ...env });
      assert.deepEqual([exitCode, stdout], [2, ''], stderr);
      assert.match(stderr, message);
      assert.ok(!stderr.includes(TOKEN));
    });
  }
});
