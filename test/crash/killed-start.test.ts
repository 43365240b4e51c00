import assert from 'node:assert/strict';
import { startAgentProcess, startCrashingAgent } from '../support/agent-process.ts';
import { makeInstallation, TEAM, teamNamespace } from '../support/agent.ts';
import { useSharedBroker } from '../support/broker.ts';
import { assertNamespaceIsComplete, assertNoRequestLeft, openPatientRpc } from '../support/claim-assertions.ts';

/** More writes than a first start makes. */
const MOST_STARTS = 60;

describe('an agent that is killed while it starts for the first time', () => {
  useSharedBroker();

  it('repeatedly, right before and right after its next write, gets further each time', async function () {
    this.timeout(400_000);
    const installation = await makeInstallation();
    let deaths = 0;
    // Each start finds what the previous one wrote, and dies at its own first write.
    for (const moments = ['before', 'after'] as const; deaths < MOST_STARTS; deaths += 1) {
      const agent = await startCrashingAgent(installation.environment, 'any', moments[deaths % 2] ?? 'after');
      if (!(await agent.survivedStart())) continue;
      await agent.kill();
      break;
    }
    assert.ok(deaths > 10, `${deaths} deaths`);
    assert.ok(deaths < MOST_STARTS, 'a start should succeed in the end');
    const agent = await startAgentProcess(installation.environment);
    const rpc = await openPatientRpc(installation, TEAM);
    const claimed = await rpc.request('claim-namespace', { namespace: teamNamespace() });
    await assertNamespaceIsComplete(installation, rpc, claimed);
    await agent.stop();
    await assertNoRequestLeft(installation);
  });
});
