import assert from 'node:assert/strict';
import { join } from 'node:path';
import { stop } from 'esbuild';
import type { Page } from 'playwright-core';
import { bundlePage } from '../../dev/bundle-page.ts';
import { queueName, SAMPLE_SIZE } from '../../dev/page/sample-installation.ts';
import { type SamplePage, startSamplePage } from '../../dev/page/sample-page.ts';
import { createPageFiles } from '../../src/operator-http/page-files.ts';
import {
  findBarriers,
  keepScreenshot,
  longestTask,
  useBrowser,
  type ViewerOptions,
  type WatchedPage,
} from '../support/browser.ts';
import { makeFolder } from '../support/folders.ts';
import { OPERATOR_TOKEN } from '../support/page-agent.ts';
import { focusedName, PAGE_VIEWS, showView, tabTo } from '../support/page-views.ts';
import { waitUntil } from '../support/watched-installation.ts';

const LOOKS: Readonly<Record<string, ViewerOptions>> = { light: {}, dark: { dark: true }, phone: { phone: true } };

const ROWS = 50;

/** With markup, with letters and control characters of the other direction, and of 255 bytes. */
const STRANGE_QUEUES = [queueName(3), queueName(4), queueName(5)];

/** Names the file that gets the picture of the README, such as docs/images/page.png. */
const PICTURE = process.env['PAGE_PICTURE'];

describe('the views of the page for operators, with ten thousand namespaces and queues', function () {
  this.timeout(120_000);
  const browser = useBrowser();
  let site: SamplePage;

  before('build and serve the page', async () => {
    const folder = makeFolder('page');
    await bundlePage(folder);
    site = await startSamplePage({
      files: createPageFiles(join(folder, 'page')),
      port: 0,
      token: OPERATOR_TOKEN,
      eventsPerSecond: 1,
    });
  });
  after(async () => {
    await site.close();
    await stop();
  });

  const open = async (viewer?: ViewerOptions): Promise<WatchedPage> => {
    const watched = await browser().open(site.origin, viewer);
    await watched.page.goto(site.url);
    await watched.page.getByRole('heading', { name: 'Now' }).waitFor();
    return watched;
  };

  for (const [look, viewer] of Object.entries(LOOKS)) {
    it(`has no barrier, nothing wider than the screen and no request to another host, ${look}`, async () => {
      const { page, record } = await open(viewer);
      const faults: string[] = [];
      for (const view of PAGE_VIEWS) {
        await showView(page, view);
        faults.push(...(await findBarriers(page)).map((barrier) => `${view.name}: ${barrier}`));
        const [content, screen] = await page.evaluate<[number, number]>(
          '[document.documentElement.scrollWidth, document.documentElement.clientWidth]',
        );
        if (content > screen) faults.push(`${view.name} is ${content} px wide on ${screen} px`);
        await keepScreenshot(page, `${view.name}-${look}`);
      }
      assert.deepEqual(faults, []);
      assertQuiet(record);
    });
  }

  it('finds, sorts and pages queues', async () => {
    const { page } = await open();
    await page.evaluate("location.hash = '#/queues'");
    const pager = page.getByRole('navigation', { name: 'Pages of queues' });
    await pager.getByText('1–50 of 10,000 queues').waitFor();
    const amounts = page.getByRole('table', { name: 'Queues' }).locator('td[data-title=Messages]');
    const isDeepestFirst = async (): Promise<boolean> => {
      const shown = (await amounts.allTextContents()).map((text) => Number(text.replaceAll(',', '')));
      return shown.length === ROWS && shown.every((amount, index) => amount <= (shown[index - 1] ?? Infinity));
    };
    await waitUntil(isDeepestFirst, 'the deepest queue is first');
    await page.getByRole('columnheader', { name: 'Queue', exact: true }).getByRole('button').click();
    await page.locator('[aria-sort=ascending]').filter({ hasText: 'Queue' }).waitFor();
    await waitUntil(async () => isSorted(await namesIn(page, 'Queues')), 'the queues are in the order of their names');
    const first = await namesIn(page, 'Queues');
    await pager.getByRole('link', { name: 'Next' }).click();
    await pager.getByText('51–100 of 10,000 queues').waitFor();
    await waitUntil(async () => (await namesIn(page, 'Queues'))[0] !== first[0], 'the second page is shown');
    const second = await namesIn(page, 'Queues');
    assert.ok(isSorted([...first, ...second]));
    assert.equal(new Set([...first, ...second]).size, 2 * ROWS);
    await page.getByRole('searchbox', { name: 'Search queues' }).fill(queueName(17).toUpperCase());
    await waitUntil(async () => String(await namesIn(page, 'Queues')) === queueName(17), 'the queue is found');
    // The way back leads to the view before, and not through each letter.
    await page.goBack();
    await page.goBack();
    await page.getByRole('heading', { name: 'Now' }).waitFor();
  });

  it('finds, sorts and pages namespaces', async () => {
    const { page } = await open();
    await page.evaluate("location.hash = '#/namespaces'");
    const pager = page.getByRole('navigation', { name: 'Pages of namespaces' });
    await pager.getByText('1–50 of 10,000 namespaces').waitFor();
    assert.equal(SAMPLE_SIZE, 10_000);
    await page.getByRole('columnheader', { name: 'Namespace' }).getByRole('button').click();
    await page.locator('[aria-sort=descending]').filter({ hasText: 'Namespace' }).waitFor();
    await waitUntil(async () => isSorted((await namesIn(page, 'Namespaces')).toReversed()), 'the last name is first');
    await page.getByRole('searchbox', { name: 'Search namespaces and holders' }).fill('perf-0007');
    await waitUntil(async () => String(await namesIn(page, 'Namespaces')) === 'taskcluster-perf-0007', 'it is found');
    await page.getByRole('link', { name: 'taskcluster-perf-0007' }).click();
    await page.getByRole('heading', { name: 'Record' }).waitFor();
    assert.equal(await page.title(), 'taskcluster-perf-0007 · Pulse Agent');
  });

  it('shows names with markup, bidi and 255 bytes as they are', async () => {
    const { page, record } = await open();
    assert.equal(Buffer.byteLength(STRANGE_QUEUES[2] ?? ''), 255);
    for (const queue of STRANGE_QUEUES) {
      await page.evaluate(`location.hash = '#/queues?search=' + encodeURIComponent(${JSON.stringify(queue)})`);
      const link = page.getByRole('rowheader').getByRole('link');
      await waitUntil(async () => (await link.first().textContent()) === queue, `${queue} is shown`);
      // Isolated, so that it turns nothing around it.
      assert.equal(await link.locator('bdi').count(), 1);
      await link.click();
      await waitUntil(
        async () => (await page.locator('.queue-name').textContent()) === queue,
        `the depth of ${queue} is shown`,
      );
    }
    assert.match(await page.title(), /^taskcluster-builds-0000 · Pulse Agent$/);
    assertQuiet(record);
  });

  it('finds a queue from every view, and shows its namespace', async () => {
    const { page } = await open();
    await page.evaluate("location.hash = '#/audit'");
    const search = page.getByRole('search');
    await search.getByRole('searchbox').fill(queueName(17));
    await search.getByRole('link', { name: queueName(17) }).click();
    await waitUntil(async () => (await page.locator('.queue-name').textContent()) === queueName(17), 'it is shown');
    assert.equal(await search.getByRole('link').count(), 0, 'the search is over');
  });

  it('shows the later steps of the plan when they are asked for', async () => {
    const { page, record } = await open();
    const steps = page.getByRole('region', { name: 'Next 12 hours' }).getByRole('listitem');
    const later = page.getByText(/^and [0-9,]+ later steps?$/);
    await later.waitFor();
    const before = await steps.count();
    await later.click();
    await steps.nth(before).waitFor();
    assertQuiet(record);
  });

  it('shows times in the zone of the viewer, with UTC', async () => {
    const { page } = await open({ timezone: 'Asia/Kolkata' });
    const audit = PAGE_VIEWS.find(({ name }) => name === 'audit');
    assert.ok(audit !== undefined);
    await showView(page, audit);
    const time = page.getByRole('main').locator('time').first();
    const instant = new Date((await time.getAttribute('datetime')) ?? '');
    const inIndia = instant.toLocaleTimeString('sv-SE', { timeZone: 'Asia/Kolkata' });
    assert.ok((await time.textContent())?.endsWith(inIndia), `${await time.textContent()} is not ${inIndia}`);
    assert.match((await time.getAttribute('title')) ?? '', new RegExp(`${instant.toISOString().slice(11, 19)} UTC$`));
  });

  it('does not stutter with a hundred changes a second, and keeps the place of who reads further down', async () => {
    const { page, record } = await open();
    await page.getByRole('navigation', { name: 'Views' }).getByRole('link', { name: 'Live events' }).click();
    await page.getByText('live', { exact: true }).waitFor();
    await waitUntil(async () => (await countOfEvents(page)) >= 200, 'the earlier events are there');
    await page.evaluate("document.querySelector('.event-frame').scrollTop = 3000");
    await waitUntil(async () => (await middleRow(page)) !== null, 'the rows there are drawn');
    const reading = await middleRow(page);
    const longest = await longestTask(page, async () => {
      site.setEventsPerSecond(100);
      await waitUntil(async () => (await countOfEvents(page)) > 550, '350 events have arrived');
    });
    site.setEventsPerSecond(1);
    assert.ok(longest < 200, `${longest} ms`);
    assert.equal(await middleRow(page), reading, 'the row that was read is where it was');
    assertQuiet(record);
  });

  it('can be used with the keyboard alone', async () => {
    const { page } = await open();
    await page.keyboard.press('Tab');
    assert.equal(await focusedName(page), 'Skip to the content');
    await page.keyboard.press('Enter');
    assert.equal(await page.evaluate('document.activeElement.id'), 'main');
    await page.reload();
    await tabTo(page, 'Queues');
    await page.keyboard.press('Enter');
    await page.getByRole('table', { name: 'Queues' }).waitFor();
    await tabTo(page, /^Queue$/);
    await page.keyboard.press('Enter');
    await page.locator('[aria-sort=ascending]').filter({ hasText: 'Queue' }).waitFor();
    // The button stays, and keeps the focus, although the rows are others now.
    assert.match(await focusedName(page), /^Queue/);
    const search = page.getByRole('search');
    await search.getByRole('searchbox').focus();
    await page.keyboard.type('taskcluster-perf-0007');
    await search.getByRole('link', { name: 'taskcluster-perf-0007', exact: true }).waitFor();
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { level: 1, name: 'taskcluster-perf-0007' }).waitFor({ state: 'attached' });
    await tabTo(page, /^Copy the command/);
    await page.keyboard.press('Enter');
    await page
      .getByRole('button', { name: /^Copy the command/ })
      .filter({ hasText: 'copied' })
      .waitFor();
  });

  if (PICTURE !== undefined && PICTURE !== '') {
    it('draws the picture of the README', async () => {
      const { page } = await open();
      await page.getByRole('table', { name: 'Agents' }).waitFor();
      await page
        .getByRole('img', { name: /^Trend/ })
        .first()
        .waitFor();
      await page.screenshot({ path: PICTURE, clip: { x: 0, y: 0, width: 1280, height: 1260 }, fullPage: true });
    });
  }
});

async function namesIn(page: Page, table: string): Promise<string[]> {
  return await page.getByRole('table', { name: table, exact: true }).getByRole('rowheader').allTextContents();
}

function isSorted(names: readonly string[]): boolean {
  return names.length > 1 && names.every((name, index) => index === 0 || (names[index - 1] ?? '') < name);
}

async function countOfEvents(page: Page): Promise<number> {
  const text = await page.locator('.controls-end').textContent();
  return Number(text?.replace(/ events?$/, '').replaceAll(',', ''));
}

/** The text of the event in the middle of what is seen; null while none is drawn there. */
async function middleRow(page: Page): Promise<string | null> {
  return await page.evaluate<string | null>(`(() => {
    const { left, top, width, height } = document.querySelector('.event-frame').getBoundingClientRect();
    return document.elementFromPoint(left + width / 2, top + height / 2).closest('.event-row')?.textContent ?? null;
  })()`);
}

function assertQuiet({ foreign, violations, errors }: WatchedPage['record']): void {
  assert.deepEqual({ foreign, violations, errors }, { foreign: [], violations: [], errors: [] });
}
