import assert from 'node:assert/strict';
import { readFileSync, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { freePorts } from '../../dev/processes.ts';
import type { Agent } from '../../src/agent/agent.ts';
import { makeInstallation, TEAM, teamNamespace, type TestInstallation } from '../support/agent.ts';
import { BROKER_START_MS } from '../support/broker.ts';
import { makeFolder } from '../support/folders.ts';
import { nginxOrSkip, startNginx } from '../support/nginx.ts';
import { folderWithNpx } from '../support/npx.ts';
import { runShell, useBlocks } from './blocks.ts';

describe('docs/page.md', function () {
  this.timeout(120_000);
  const document = useBlocks('docs/page.md');
  let folder: string;
  let installation: TestInstallation;
  let agent: Agent;
  let port: number;
  let path: string;

  before('start an agent', async function () {
    this.timeout(BROKER_START_MS);
    folder = makeFolder('page');
    path = `${await folderWithNpx()}${delimiter}${process.env['PATH']}`;
    [port = 0] = await freePorts(1);
    await runShell(document.take('openssl rand'), { cwd: folder });
    installation = await makeInstallation({
      settings: { httpPort: port },
      environment: { PULSE_AGENT_OPERATOR_TOKEN_FILE: join(folder, 'operator-token') },
    });
    agent = await installation.start();
  });
  after(async () => await installation.remove());

  const token = (): string => readFileSync(join(folder, 'operator-token'), 'utf8').trim();

  it('has a token that only its owner reads', () => {
    assert.equal(statSync(join(folder, 'operator-token')).mode & 0o777, 0o600);
    assert.equal(installation.config.operatorToken?.reveal(), token());
  });

  it('the link', async () => {
    const { text, ...block } = document.take('npx pulse-agent page');
    // Without the variables of the test run, which a command does not know.
    const command = { ...block, text: `unset "\${!PULSE_AGENT_TEST_@}"\n${text}` };
    const { stdout, stderr } = await runShell(command, { env: { ...installation.environment, PATH: path } });
    assert.equal(stderr, '');
    const link = new URL(stdout);
    assert.equal(new URLSearchParams(link.hash.slice(1)).get('token'), token());
    link.hash = '';
    const { status } = await fetch(link);
    assert.ok([200, 503].includes(status), 'there is a page, or a working copy without a build');
  });

  it('the data', async () => {
    const block = document.take('curl --fail', { '8080': String(port) });
    const { stdout } = await runShell(block, { cwd: folder });
    const { agent: answering } = JSON.parse(stdout) as { agent: { instance: string } };
    assert.equal(answering.instance, agent.instance);
  });

  describe('behind a reverse proxy that knows its people', () => {
    let nginx: Awaited<ReturnType<typeof startNginx>>;
    before(async function () {
      this.timeout(BROKER_START_MS);
      const program = await nginxOrSkip(this);
      const block = document.take('auth_request /sso/check', { '8080': String(port), OPERATOR_TOKEN: token() });
      // In place of a service that knows who has logged in.
      const check = 'location = /sso/check { internal; if ($cookie_session != "known") { return 401; } return 204; }';
      nginx = await startNginx(program, `${block.text}\n${check}`);
    });

    const get = (at: string, headers: Record<string, string> = {}, signal?: AbortSignal) =>
      fetch(`${nginx.url}${at}`, { headers, redirect: 'manual', ...(signal === undefined ? {} : { signal }) });
    const KNOWN = { cookie: 'session=known' };

    it('a person who has logged in needs no token, and another gets nothing', async () => {
      assert.equal((await get('/agent/api/v1/overview', KNOWN)).status, 200);
      assert.equal((await get('/agent/api/v1/overview')).status, 401);
      assert.equal((await get('/agent/')).status, 401);
      // The proxy's replaces what a browser sends.
      assert.equal((await get('/agent/api/v1/overview', { ...KNOWN, authorization: 'Bearer x' })).status, 200);
      const redirected = await get('/agent', KNOWN);
      assert.deepEqual(
        [redirected.status, new URL(redirected.headers.get('location') ?? '').pathname],
        [308, '/agent/'],
      );
    });

    it('events arrive as they happen', async () => {
      const closing = new AbortController();
      const { body } = await get('/agent/api/v1/events?types=namespace.claimed', KNOWN, closing.signal);
      const namespace = teamNamespace();
      let text = '';
      const seen = (async () => {
        for await (const part of body ?? []) {
          text += Buffer.from(part as Uint8Array).toString();
          if (text.includes(namespace)) return;
        }
      })();
      await (await installation.rpc(TEAM)).request('claim-namespace', { namespace });
      await seen;
      closing.abort();
    });

    it('the token is in no log of the proxy', () => assert.ok(!nginx.log().includes(token())));
  });
});
