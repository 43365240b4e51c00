import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeInstallation } from '../support/agent.ts';
import { makeFolder } from '../support/folders.ts';
import { openShell, type ShellSession } from '../support/shell-session.ts';
import { waitUntil } from '../support/watched-installation.ts';
import { runShell, useBlocks } from './blocks.ts';

/** The time-out for a demo with its broker on a busy machine. */
const DEMO_MS = 240_000;

describe('README.md', function () {
  this.timeout(DEMO_MS);
  const readme = useBlocks('README.md');
  let demo: ShellSession | undefined;

  before('npm run demo -- --keep', async () => {
    demo = openShell(readme.take('npm run demo -- --keep').text);
    await demo.printed('The installation runs until Ctrl-C', DEMO_MS);
  });

  it('the demo prints the steps that the document shows', () => {
    // With --keep the demo differs only at its end.
    assert.equal(readme.take('npm run demo\n').text, 'npm run demo\n');
    const shape = (text: string): string => text.replaceAll(/\d+/g, '0');
    const shown = shape(demo?.output() ?? '').split('\n');
    for (const line of shape(readme.take('• Claim taskcluster-team-a').text).trimEnd().split('\n')) {
      assert.ok(shown.includes(line), line);
    }
    const watched = /^ +queue\/taskcluster-team-a-watched\/jobs +watched +\d+ .*\+\d+ +warn at 500 messages +in \d+ s/m;
    assert.match(demo?.output() ?? '', watched);
  });

  it('the link that the demo prints opens a page with its data', async () => {
    const [, origin, token] = /(http:\S+)\/#token=(\S+)/.exec(demo?.output() ?? '') ?? [];
    const file = await fetch(`${origin}/`);
    assert.match(await file.text(), /<title>Pulse Agent<\/title>/);
    const read = async (path: string): Promise<string> => {
      const response = await fetch(`${origin}/api/v1/${path}`, { headers: { authorization: `Bearer ${token}` } });
      assert.equal(response.status, 200);
      return await response.text();
    };
    await waitUntil(
      async () => (await read('queues')).includes('queue/taskcluster-team-a-logs/archive'),
      'it has queues',
    );
    assert.match(await read('namespaces'), /"taskcluster-team-b"/);
    assert.match(await read('health'), /"name":"warnAtMessages","value":500/);
  });

  it('commands of clients', async () => {
    const { stdout } = await runShell(readme.take('npx pulse-agent ping'));
    assert.match(stdout, /^alive: pulse-agent /m);
    assert.match(stdout, /^claimed taskcluster-team-a$/m);
    assert.match(stdout, /^taskcluster-team-a +active /m);
    assert.match(
      stdout,
      /^\{"namespace":"taskcluster-team-a".*"state":"active","details":\{"holder":"team-a\/service",.*\}$/m,
    );
  });

  it('claim --keep runs a program with credentials', async () => {
    const { text, ...block } = readme.take('--keep -- sh -c');
    const { stdout } = await runShell({ ...block, text: `. .cache/demo.env\n${text}` });
    assert.match(stdout, /^amqp:\/\/taskcluster-team-a-[12]$/m);
  });

  it('the environment that the demo prints is enough for verify', async () => {
    const environment = demo?.output().match(/^ {2}export .*$/gm) ?? [];
    assert.ok(environment.length > 5, demo?.output());
    const text = `unset "\${!PULSE_AGENT_TEST_@}"\n${environment.join('\n')}\nnpx pulse-agent verify --json`;
    const { stdout } = await runShell({ place: 'the end of the demo', heading: '', language: 'sh', text });
    const { well, steps } = JSON.parse(stdout) as { well: boolean; steps: { step: string; outcome: string }[] };
    assert.equal(well, true);
    assert.deepEqual(
      ['claim', 'connect', 'publish', 'release', 'nothing-left'].map((name) => [
        name,
        steps.find(({ step }) => step === name)?.outcome,
      ]),
      ['claim', 'connect', 'publish', 'release', 'nothing-left'].map((name) => [name, 'ok']),
    );
  });

  it('a service renews its lease while watch prints the events', async () => {
    const folder = makeFolder('service');
    writeFileSync(join(folder, 'service.mjs'), readme.take('client.lease(').text);
    const service = openShell(`. .cache/demo.env\ncd ${folder}\n${readme.take('node service.mjs').text}`);
    await service.printed('received hello');
    const watching = openShell(readme.take('npx pulse-agent watch').text);
    await watching.printed(/namespace\.rotated {2}taskcluster-team-a/);
    await service.printed(/^other credentials until 20.*Z$/m);
    await watching.interrupt();
    assert.equal(await service.interrupt(), 0, service.output());
  });

  it('the demo stops in order with Ctrl-C', async () => {
    await demo?.interrupt();
    assert.match(demo?.output() ?? '', /The demo succeeded: all \d+ steps passed\./);
    assert.ok(!existsSync('.cache/demo.env'), 'no file is left');
  });

  it('an agent starts with the documented variables', async () => {
    const { vhost, taskcluster, environment } = await makeInstallation();
    const { PULSE_AGENT_CONFIG = '', STORE_URL = '', RABBITMQ_MANAGEMENT_URL = '' } = environment;
    const { text } = readme.take('npm start', {
      'amqp://agent:password@localhost:5672': vhost.amqpUrl,
      'https://tc.example.com': taskcluster.rootUrl,
      'CLAIMANT_PASSWORD=…': 'CLAIMANT_PASSWORD=not-a-secret',
    });
    // An agent refuses variables of its prefix that it does not know.
    const agent = openShell(`unset "\${!PULSE_AGENT_TEST_@}"\n${text}`, {
      env: { PULSE_AGENT_CONFIG, STORE_URL, RABBITMQ_MANAGEMENT_URL },
    });
    await agent.printed('agent_started');
    await agent.interrupt('SIGTERM');
    assert.match(agent.output(), /agent_stopped/);
  });

  it('names the command of the tests, of which this is one', () => {
    assert.equal(readme.take('npm test').text, 'npm test\n');
  });
});
