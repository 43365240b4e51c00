import assert from 'node:assert/strict';
import { useBrowser } from '../support/browser.ts';
import { mongoDatabase, useSharedMongoDB } from '../support/mongodb.ts';
import { startPageAgent } from '../support/page-agent.ts';
import { claimTeam, makeWatchedInstallation } from '../support/watched-installation.ts';

describe('the page for operators of several agents', function () {
  this.timeout(300_000);
  const browser = useBrowser();
  const mongodb = useSharedMongoDB();

  it('shows at one of them what the others are and do', async () => {
    const installation = await makeWatchedInstallation({ environment: { STORE_URL: mongoDatabase(mongodb()) } });
    const { environment } = installation;
    const one = await startPageAgent(environment);
    const team = await claimTeam(installation);
    const another = await startPageAgent(environment);
    const { page, record } = await browser().open(another.origin);
    await page.goto(another.link);
    await page.getByText('2 agents', { exact: true }).waitFor();
    const agents = page.getByRole('table', { name: 'Agents' });
    await agents.getByRole('row').filter({ hasText: 'answers this page' }).filter({ hasText: 'ready' }).waitFor();
    await agents.getByRole('row').filter({ hasNotText: 'answers this page' }).filter({ hasText: 'ready' }).waitFor();
    const views = page.getByRole('navigation', { name: 'Views' });
    await views.getByRole('link', { name: 'Namespaces' }).click();
    await page.getByRole('table', { name: 'Namespaces' }).getByText(team.namespace).waitFor();

    await views.getByRole('link', { name: 'Live events' }).click();
    await page.getByText('live', { exact: true }).waitFor();
    await one.stop();
    await page
      .getByLabel(/^Live events/)
      .getByRole('listitem')
      .filter({ hasText: 'agent.stopped' })
      .waitFor();
    await views.getByRole('link', { name: 'Audit' }).click();
    // What it did is in the store.
    await page.getByRole('listitem').filter({ hasText: team.namespace }).filter({ hasText: 'claim' }).first().waitFor();
    await another.stop();
    const { foreign, violations } = record;
    assert.deepEqual({ foreign, violations }, { foreign: [], violations: [] });
  });
});
