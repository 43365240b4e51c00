import assert from 'node:assert/strict';
import { existsSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { findBarriers, keepScreenshot, longestTask, SCREENSHOTS, useBrowser } from '../support/browser.ts';
import { addCleanup } from '../support/cleanup.ts';
import { waitUntil } from '../support/watched-installation.ts';

const POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:";

/** What the pages of this test load; each has the head and the script that it needs. */
const PAGES: Readonly<Record<string, string>> = {
  '/quiet': '<title>Quiet</title><main><h1>Quiet</h1><button>Press</button></main>',
  '/inline': '<title>Inline</title><script>window.ran = true;</script>',
  '/faulty': '<title>Faulty</title><script src="faulty.js"></script>',
  '/busy': '<title>Busy</title><script src="busy.js"></script>',
  '/mute': '<title>Mute</title><main><h1>Mute</h1><input></main>',
};

const SCRIPTS: Readonly<Record<string, string>> = {
  '/faulty.js': "console.error('said'); fetch('http://stranger.test/x').catch(() => {}); throw new Error('thrown');",
  '/busy.js': `window.burn = (times) => {
    for (let round = 0; round < times; round += 1) crypto.getRandomValues(new Uint8Array(65536));
  };
  window.measure = () => { const start = performance.now(); burn(20); return performance.now() - start; };`,
};

describe('the browser of the tests', function () {
  this.timeout(120_000);
  const browser = useBrowser();
  const origin = useSite();

  it('records nothing of a page that keeps to the rules', async () => {
    const { page, record } = await browser().open(origin());
    await page.goto(`${origin()}/quiet`);
    await page.getByRole('button', { name: 'Press' }).click();
    assert.deepEqual(await findBarriers(page), []);
    assert.deepEqual(record, { requests: [`${origin()}/quiet`], foreign: [], violations: [], errors: [] });
  });

  it('records what a content security policy refuses', async () => {
    const { page, record } = await browser().open(origin());
    await page.goto(`${origin()}/inline`);
    await waitUntil(() => record.violations.length > 0, 'the violation is recorded');
    assert.deepEqual(record.violations, ['script-src-elem inline']);
    assert.equal(await page.evaluate('window.ran'), undefined);
  });

  it('records foreign requests, console errors and uncaught errors', async () => {
    const { page, record } = await browser().open(origin());
    await page.goto(`${origin()}/faulty`);
    await waitUntil(() => record.violations.length > 0 && record.errors.length > 1, 'all of it is recorded');
    assert.deepEqual(record.violations, ['connect-src http://stranger.test/x']);
    assert.match(record.errors.join('\n'), /said/);
    assert.match(record.errors.join('\n'), /Error: thrown/);
  });

  it('reaches no other host, and records the attempt', async () => {
    const { page, record } = await browser().open(origin());
    await assert.rejects(page.goto('http://stranger.test/'), /ERR_NAME_NOT_RESOLVED/);
    assert.deepEqual(record.foreign, ['http://stranger.test/']);
  });

  it('finds what a screen reader cannot name, also in a page with a policy', async () => {
    const { page, record } = await browser().open(origin());
    await page.goto(`${origin()}/mute`);
    assert.match((await findBarriers(page)).join('\n'), /^label: .*input/m);
    assert.deepEqual(record.violations, []);
  });

  it('measures the longest task of a page by its CPU time', async () => {
    const { page } = await browser().open(origin());
    await page.goto(`${origin()}/busy`);
    const brief = await longestTask(page, () => page.evaluate('burn(1)'));
    const long = await longestTask(page, () => page.evaluate('burn(5000)'));
    assert.ok(brief < 50 && long > 100 && long > 4 * brief, `${brief} ms and ${long} ms`);
  });

  it('shows a page in dark, on a phone and in a time zone', async () => {
    const { page } = await browser().open(origin(), { dark: true, phone: true, timezone: 'Pacific/Auckland' });
    await page.goto(`${origin()}/quiet`);
    const seen = await page.evaluate(`[
      matchMedia('(prefers-color-scheme: dark)').matches,
      matchMedia('(pointer: coarse)').matches,
      Intl.DateTimeFormat().resolvedOptions().timeZone,
    ]`);
    assert.deepEqual(seen, [true, true, 'Pacific/Auckland']);
  });

  it('keeps pictures after the test', async () => {
    const file = join(SCREENSHOTS, 'browser-test.png');
    addCleanup(() => rmSync(file, { force: true }));
    const { page } = await browser().open(origin());
    await page.goto(`${origin()}/quiet`);
    await keepScreenshot(page, 'browser-test');
    assert.ok(existsSync(file));
  });
});

/** For use in a `describe`: a server of {@link PAGES}. */
function useSite(): () => string {
  const server = createServer((request, response) => {
    const path = request.url ?? '';
    const script = SCRIPTS[path];
    const type = script === undefined ? 'text/html' : 'text/javascript';
    response.writeHead(200, { 'content-type': `${type}; charset=utf-8`, 'content-security-policy': POLICY });
    response.end(script ?? `<!doctype html><html lang="en"><link rel="icon" href="data:,">${PAGES[path] ?? ''}`);
  });
  before(async () => {
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  });
  after(async () => {
    server.closeAllConnections();
    await new Promise((closed) => server.close(closed));
  });
  return () => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
