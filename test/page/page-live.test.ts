import assert from 'node:assert/strict';
import type { Locator, Page } from 'playwright-core';
import { TEAM, type TestInstallation } from '../support/agent.ts';
import { findBarriers, keepScreenshot, useBrowser } from '../support/browser.ts';
import { OPERATOR_TOKEN, type PageAgent, startPageAgent, startPrefixProxy } from '../support/page-agent.ts';
import { claimTeam, LOW_THRESHOLDS, makeWatchedInstallation, waitUntil } from '../support/watched-installation.ts';

const { warnAtMessages = 0, deleteAtMessages = 0 } = LOW_THRESHOLDS;
const CONTACT = 'owner@example.com';

/** What the browser itself says of an agent that is away, and of one that refuses the token. */
const OF_THE_BROWSER = /^Failed to load resource: /;

describe('the page for operators, live', function () {
  this.timeout(300_000);
  const browser = useBrowser();
  let installation: TestInstallation;
  let agent: PageAgent;

  before('start an agent', async () => {
    installation = await makeWatchedInstallation({ settings: { surveyIntervalSeconds: 1 } });
    agent = await startPageAgent(installation.environment);
  });
  after(async () => {
    await agent.stop();
    await installation.remove();
  });

  afterEach('the agent logged no error', () => {
    assert.deepEqual(
      agent
        .log()
        .split('\n')
        .filter((line) => line.includes('"level":"error"')),
      [],
    );
  });

  const open = async (address = agent.link, origin = agent.origin) => {
    const watched = await browser().open(origin);
    await watched.page.goto(address);
    return watched;
  };
  const show = (page: Page, name: string): Promise<void> =>
    page.getByRole('navigation', { name: 'Views' }).getByRole('link', { name }).click();
  const events = (page: Page): Locator => page.getByLabel(/^Live events/).getByRole('listitem');
  const mails = () => installation.taskcluster.mails.filter(({ address }) => address === CONTACT);

  it('shows a queue from its first message to its deletion, with warning and mail', async () => {
    const { page, record } = await open();
    const { page: feed } = await open();
    await show(page, 'Queues');
    await show(feed, 'Live events');
    await feed.getByText('live', { exact: true }).waitFor();
    const team = await claimTeam(installation, CONTACT);
    await events(feed).filter({ hasText: 'namespace.claimed' }).filter({ hasText: team.namespace }).waitFor();

    const queue = `queue/${team.namespace}/jobs`;
    const row = page.getByRole('row').filter({ has: page.getByRole('rowheader', { name: queue }) });
    await team.channel.assertQueue(queue);
    await team.fill(queue, 5);
    await row.waitFor();
    assert.match(
      (await row.textContent()) ?? '',
      /watched/,
      'it is known from the beginning that its namespace is claimed',
    );
    await row.getByRole('cell', { name: '5', exact: true }).first().waitFor();
    await team.fill(queue, warnAtMessages);
    await row.filter({ hasText: 'warned' }).waitFor();
    await events(feed).filter({ hasText: 'queue.warning' }).filter({ hasText: queue }).waitFor();
    await waitUntil(() => mails().length === 1, 'the owner got a mail');

    await row.getByRole('link').click();
    await page
      .getByRole('img', { name: new RegExp(`Depth of ${queue}: .* to ${5 + warnAtMessages} messages`) })
      .waitFor();
    await page.getByRole('heading', { name: 'What happens next' }).waitFor();
    await team.fill(queue, deleteAtMessages);
    await events(feed).filter({ hasText: 'queue.deleted' }).filter({ hasText: queue }).waitFor();
    await page.getByText('It has no queue.').waitFor();
    await waitUntil(() => mails().length === 2, 'the owner got a second mail');
    await page.getByRole('listitem').filter({ hasText: 'queue' }).filter({ hasText: 'deletion' }).first().waitFor();
    assert.deepEqual(
      record.errors.filter((error) => !OF_THE_BROWSER.test(error)),
      [],
    );
  });

  it('pauses and filters events', async () => {
    const { page } = await open();
    await show(page, 'Live events');
    await page.getByText('live', { exact: true }).waitFor();
    await page.getByRole('combobox', { name: 'Type of event' }).selectOption('namespace.claimed');
    const first = await claimTeam(installation);
    await events(page).filter({ hasText: first.namespace }).waitFor();
    const types = await events(page).filter({ hasNotText: 'namespace.claimed' }).count();
    assert.equal(types, 0);
    await page.getByRole('button', { name: 'Pause' }).click();
    const second = await claimTeam(installation);
    await page.getByRole('button', { name: /Resume, [0-9]+ events? more/ }).click();
    await events(page).filter({ hasText: second.namespace }).waitFor();
    await page.getByRole('searchbox', { name: 'Namespace or queue' }).fill(first.namespace);
    await events(page).filter({ hasText: second.namespace }).waitFor({ state: 'detached' });
    assert.ok((await events(page).filter({ hasText: first.namespace }).count()) > 0);
  });

  it('asks for the token where it has none, or a wrong one', async () => {
    const { page, record } = await open(`${agent.origin}/`);
    await page.getByRole('heading', { name: "Operators' token" }).waitFor();
    await page.getByLabel('Token', { exact: true }).fill('wrong-token-wrong-token-wrong-token');
    await page.getByRole('button', { name: 'Show the page' }).click();
    await page.getByRole('alert').waitFor();
    assert.deepEqual(await findBarriers(page), []);
    await keepScreenshot(page, 'token-light');
    await page.getByLabel('Token', { exact: true }).fill(OPERATOR_TOKEN);
    await page.getByLabel('Token', { exact: true }).press('Enter');
    await page.getByRole('heading', { name: 'Now' }).waitFor();
    // It is known until the tab is closed.
    await page.reload();
    await page.getByRole('heading', { name: 'Now' }).waitFor();
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByRole('heading', { name: "Operators' token" }).waitFor();
    assert.deepEqual(
      record.errors.filter((error) => !OF_THE_BROWSER.test(error)),
      [],
    );
    assert.deepEqual(record.violations, []);
  });

  it('has the token in no address that leaves the page, in no log, and not in the address bar', async () => {
    const proxy = await startPrefixProxy(agent, '/');
    const { page, record } = await open(`${proxy.origin}/#token=${OPERATOR_TOKEN}`, proxy.origin);
    await page.getByRole('heading', { name: 'Now' }).waitFor();
    assert.equal(page.url(), `${proxy.origin}/#/`);
    for (const name of ['Queues', 'Namespaces', 'Live events', 'Audit', 'Health']) await show(page, name);
    await page.getByRole('table', { name: 'Recurring jobs' }).waitFor();
    assert.ok(record.requests.length > 5 && proxy.seen.length >= record.requests.length);
    for (const text of [
      ...record.requests.filter((url) => !url.includes('#')),
      ...proxy.seen,
      page.url(),
      agent.log(),
    ]) {
      assert.ok(!text.includes(OPERATOR_TOKEN), text);
    }
    assert.deepEqual(await page.context().cookies(), []);
    for (let entry = await page.evaluate<number>('history.length'); entry > 1; entry -= 1) {
      await page.goBack();
      assert.ok(!page.url().includes(OPERATOR_TOKEN), page.url());
    }
  });

  it('works below a path of a reverse proxy, which may add the token', async () => {
    const proxy = await startPrefixProxy(agent, '/pulse/agent/', OPERATOR_TOKEN);
    const { page, record } = await open(proxy.url, proxy.origin);
    await page.getByRole('heading', { name: 'Now' }).waitFor();
    await show(page, 'Live events');
    await page.getByText('live', { exact: true }).waitFor();
    const team = await claimTeam(installation);
    await events(page).filter({ hasText: team.namespace }).first().waitFor();
    assert.equal(await page.getByRole('button', { name: 'Sign out' }).count(), 0);
    const { foreign, violations, errors } = record;
    assert.deepEqual({ foreign, violations, errors }, { foreign: [], violations: [], errors: [] });
  });

  // The last one: the agent that it starts ends with it.
  it('goes on after a restart of the agent, and misses no event after it', async () => {
    const { page, record } = await open();
    await show(page, 'Live events');
    const before = await claimTeam(installation);
    await events(page).filter({ hasText: 'namespace.claimed' }).filter({ hasText: before.namespace }).waitFor();
    await agent.stop();
    await page.getByText('The agent is not reachable').waitFor();
    assert.ok((await events(page).filter({ hasText: before.namespace }).count()) > 0, 'what was seen stays');
    const header = page.getByRole('banner');
    await header.getByText('unknown', { exact: true }).waitFor();
    assert.equal(await header.getByText('ready', { exact: true }).count(), 0, 'unknown');
    assert.deepEqual(await findBarriers(page), []);
    await keepScreenshot(page, 'unreachable-light');
    agent = await startPageAgent(installation.environment, agent.port);
    await page.getByText('live', { exact: true }).waitFor();
    assert.equal(await page.getByText('The agent is not reachable').count(), 0);
    await header.getByText('unknown', { exact: true }).waitFor({ state: 'detached' });
    const rpc = await installation.rpc(TEAM);
    await rpc.request('release-namespace', { namespace: before.namespace });
    await events(page).filter({ hasText: 'namespace.released' }).filter({ hasText: before.namespace }).waitFor();
    const claimed = events(page).filter({ hasText: 'namespace.claimed' }).filter({ hasText: before.namespace });
    assert.equal(await claimed.count(), 1, 'no event is shown twice');
    await page.evaluate(`location.hash = '#/namespaces/${before.namespace}'`);
    const gone = page.getByRole('alert').filter({ hasText: 'No client holds this namespace' });
    await gone.getByRole('link', { name: 'Its audit' }).click();
    await page.getByRole('listitem').filter({ hasText: 'release' }).first().waitFor();
    assert.deepEqual(record.violations, []);
  });
});
