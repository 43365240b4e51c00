import assert from 'node:assert/strict';
import type { Agent } from '../../src/agent/agent.ts';
import type { EndpointName } from '../../src/operator-api/endpoint.ts';
import { TEAM } from '../support/agent.ts';
import { mongoDatabase, useSharedMongoDB } from '../support/mongodb.ts';
import { type AnswerOf, readPage } from '../support/operator-api.ts';
import { claimTeam, makeWatchedInstallation, waitUntil } from '../support/watched-installation.ts';

const TOKEN = 'the-token-of-operators-0123456789';

describe('the page for operators where several agents run, on MongoDB', function () {
  this.timeout(300_000);
  const mongodb = useSharedMongoDB();

  it('shows the same at each agent, whichever does the work', async () => {
    const installation = await makeWatchedInstallation({
      settings: { httpPort: 0 },
      environment: { STORE_URL: mongoDatabase(mongodb()), PULSE_AGENT_OPERATOR_TOKEN: TOKEN },
    });
    const agents = [await installation.start(), await installation.start()];
    const ofEach = async <Name extends EndpointName>(
      name: Name,
      parameters: Readonly<Record<string, string>> = {},
    ): Promise<AnswerOf<Name>[]> => Promise.all(agents.map((agent) => readPage(agent, TOKEN, name, parameters)));
    const untilEach = async <Name extends EndpointName>(
      name: Name,
      parameters: Readonly<Record<string, string>>,
      isSo: (answer: AnswerOf<Name>) => boolean,
    ): Promise<void> => {
      await waitUntil(async () => (await ofEach(name, parameters)).every(isSo), `${name} at each agent`);
    };
    const team = await claimTeam(installation, 'owner@example.com');
    const queue = `queue/${team.namespace}/jobs`;
    await team.channel.assertQueue(queue);
    await team.fill(queue, 30);

    await untilEach('queues', { state: 'alert' }, ({ items }) => items[0]?.queue === queue && items[0].messages === 30);
    await untilEach('queueHistory', { queue }, ({ points }) => points.at(-1)?.[1] === 30);
    await untilEach('overview', {}, ({ agents: seen, queues }) => seen?.length === 2 && queues?.warned === 1);
    await untilEach('overview', {}, ({ survey }) => survey?.by !== undefined && survey.outcome === 'ok');
    const known = new Set(agents.map(({ instance }: Agent) => instance));
    for (const { survey } of await ofEach('overview')) assert.ok(known.has(survey?.by ?? ''));
    await untilEach('namespaces', { search: team.namespace }, ({ items }) => items[0]?.holder === TEAM);
    for (const one of await ofEach('namespace', { name: team.namespace })) {
      assert.deepEqual([one.generation, one.queueRows[0]?.state], [1, 'warned']);
    }
    await untilEach('audit', { action: 'claim' }, ({ items }) => items[0]?.namespace === team.namespace);
    const [pages] = await Promise.all(
      agents.map(async (agent) => {
        const ids: string[] = [];
        for (let after: string | undefined; ; ) {
          const page = await readPage(agent, TOKEN, 'audit', { limit: '1', ...(after === undefined ? {} : { after }) });
          ids.push(...page.items.map(({ id }) => id));
          if ((after = page.next) === undefined) return ids;
        }
      }),
    );
    assert.equal(new Set(pages).size, pages?.length);
    assert.ok((pages?.length ?? 0) >= 3);
    for (const { steps } of await ofEach('plan'))
      assert.ok(steps.some(({ namespace }) => namespace === team.namespace));

    // What one agent kept of the queue, the other has seen, too: each by a listing of its own.
    const [first] = agents;
    await first?.stop();
    const rest = agents.slice(1);
    const histories = await Promise.all(rest.map((agent) => readPage(agent, TOKEN, 'queueHistory', { queue })));
    assert.equal(histories[0]?.messages, 30);
  });
});
