import { readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import type { Browser, BrowserContextOptions, LaunchOptions, Page } from 'playwright-core';
import { type ChromiumInstallation, ensureChromium } from '../../dev/chromium.ts';
import { hasApt } from '../../dev/debian-program.ts';
import { addCleanup, addRunCleanup } from './cleanup.ts';
import { testFolder, unique } from './folders.ts';
import { skipBecause } from './skip.ts';

/** Timeout of a hook that may install a browser on a bare machine. */
const BROWSER_START_MS = 300_000;

/** How long a step in a page may take, in ms: the machine may be busy. */
const STEP_TIMEOUT_MS = 60_000;

/** Pages may reach this machine only, whatever they try. */
const NO_OTHER_HOST = '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost';

/** In CSS pixels: a table on a phone is many screens long. */
const MAX_PICTURE_HEIGHT = 2400;

/** Where screenshots are kept after the run. */
export const SCREENSHOTS = resolve('.cache/test-output/page');

/** What a page did behind its surface. */
export interface PageRecord {
  /** The URL of each request. */
  readonly requests: readonly string[];
  /** Those that left the origin of the page. */
  readonly foreign: readonly string[];
  /** What the content security policy refused: directive and URL. */
  readonly violations: readonly string[];
  /** Messages of the console of level error or warning, and uncaught errors. */
  readonly errors: readonly string[];
}

/** A page in a context of its own, closed after the test. */
export interface WatchedPage {
  readonly page: Page;
  readonly record: PageRecord;
}

/** How a page is shown. */
export interface ViewerOptions {
  readonly dark?: boolean;
  /** On a small screen that is touched. */
  readonly phone?: boolean;
  readonly timezone?: string;
}

/** Opens pages in the browser of this process. */
export interface TestBrowser {
  /**
   * Opens an empty page with storage of its own.
   *
   * @param origin requests to any other one are foreign
   */
  open(origin: string, options?: ViewerOptions): Promise<WatchedPage>;
}

let launched: Promise<Browser> | undefined;

/** For use in a `describe`: the browser that all tests of this process share. Without any, they are skipped. */
export function useBrowser(): () => TestBrowser {
  let browser: Browser | undefined;
  before('start a browser', async function () {
    this.timeout(BROWSER_START_MS);
    if (launched === undefined) {
      const found = await ensureChromium({ cacheFolder: '.cache/chromium' }).catch((error: unknown) => {
        if (hasApt()) throw error;
        return skipBecause(this, 'neither a chromium on PATH nor apt-get, which would install it');
      });
      launched = launch(found);
    }
    browser = await launched;
  });
  return () => {
    if (browser === undefined) throw new Error('The browser is ready only from the first hook on.');
    return createTestBrowser(browser);
  };
}

async function launch({ program, environment }: ChromiumInstallation): Promise<Browser> {
  // Loaded only here, because it takes a third of a second.
  const { chromium } = await import('playwright-core');
  const home = join(testFolder(), unique('browser'));
  const options: LaunchOptions = {
    executablePath: program,
    args: [NO_OTHER_HOST, '--disable-gpu'],
    // Chromium keeps caches in these folders.
    env: { ...process.env, ...environment, HOME: home, XDG_CACHE_HOME: home, XDG_CONFIG_HOME: home },
    // Mocha and the test runner react to signals.
    handleSIGINT: false,
    handleSIGTERM: false,
    handleSIGHUP: false,
  };
  const start = async (): Promise<Browser> => {
    if (process.getuid?.() === 0) return await chromium.launch(options);
    try {
      return await chromium.launch({ ...options, chromiumSandbox: true });
    } catch (error) {
      // A container may forbid what the sandbox needs. The pages are those of this working copy.
      if (!String(error).includes('No usable sandbox')) throw error;
      return await chromium.launch(options);
    }
  };
  const browser = await start();
  addRunCleanup(async () => {
    await browser.close();
    rmSync(home, { recursive: true, force: true });
  });
  return browser;
}

function createTestBrowser(browser: Browser): TestBrowser {
  return {
    async open(origin, viewer = {}) {
      const context = await browser.newContext(contextOptionsOf(viewer));
      addCleanup(() => context.close());
      context.setDefaultTimeout(STEP_TIMEOUT_MS);
      const requests: string[] = [];
      const foreign: string[] = [];
      const violations: string[] = [];
      const errors: string[] = [];
      context.on('request', (request) => {
        const url = request.url();
        requests.push(url);
        if (!url.startsWith(`${origin}/`)) foreign.push(url);
      });
      context.on('console', (message) => {
        if (message.type() === 'error' || message.type() === 'warning') errors.push(message.text());
      });
      context.on('weberror', (error) => errors.push(String(error.error())));
      await context.exposeBinding('reportViolation', (_source, violation: string) => void violations.push(violation));
      await context.addInitScript(REPORT_VIOLATIONS);
      return { page: await context.newPage(), record: { requests, foreign, violations, errors } };
    },
  };
}

const REPORT_VIOLATIONS = `document.addEventListener('securitypolicyviolation', (event) =>
  reportViolation(event.effectiveDirective + ' ' + event.blockedURI));`;

function contextOptionsOf({ dark = false, phone = false, timezone = 'UTC' }: ViewerOptions): BrowserContextOptions {
  return {
    colorScheme: dark ? 'dark' : 'light',
    timezoneId: timezone,
    locale: 'en-GB',
    reducedMotion: 'reduce',
    ...(phone
      ? { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true, deviceScaleFactor: 2 }
      : { viewport: { width: 1280, height: 800 } }),
  };
}

let axeSource: string | undefined;

/** What axe finds wrong for people who use a screen reader or a keyboard, or who see little: one line a place. */
export async function findBarriers(page: Page): Promise<string[]> {
  axeSource ??= readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
  await page.evaluate(`${axeSource}; undefined`);
  const violations = await page.evaluate<AxeViolation[]>(
    "axe.run({ resultTypes: ['violations'] }).then((found) => found.violations)",
  );
  return violations.flatMap(({ id, help, nodes }) =>
    nodes.map(({ target, failureSummary }) => `${id}: ${help}: ${String(target)}: ${failureSummary ?? ''}`),
  );
}

interface AxeViolation {
  readonly id: string;
  readonly help: string;
  readonly nodes: readonly { readonly target: unknown; readonly failureSummary?: string }[];
}

/**
 * The CPU time of the longest task of the page while `work` runs, in ms. It says whether the page stutters, and unlike
 * the time by the clock it does not depend on what else the machine does.
 */
export async function longestTask(page: Page, work: () => Promise<unknown>): Promise<number> {
  const browser = page.context().browser();
  if (browser === null) throw new Error('The page has no browser.');
  await browser.startTracing(page, { categories: ['disabled-by-default-devtools.timeline'] });
  let trace: Buffer;
  try {
    await work();
  } finally {
    trace = await browser.stopTracing();
  }
  const { traceEvents } = JSON.parse(trace.toString()) as { traceEvents: TraceEvent[] };
  const pageThreads = new Set(
    traceEvents.flatMap(({ name, args, pid, tid }) =>
      name === 'thread_name' && args?.name === 'CrRendererMain' ? [`${pid} ${tid}`] : [],
    ),
  );
  const tasks = traceEvents.filter(({ name, pid, tid }) => name === 'RunTask' && pageThreads.has(`${pid} ${tid}`));
  return Math.max(0, ...tasks.map(({ tdur = 0 }) => tdur / 1000));
}

interface TraceEvent {
  readonly name: string;
  readonly pid: number;
  readonly tid: number;
  /** CPU time in µs. */
  readonly tdur?: number;
  readonly args?: { readonly name?: string };
}

/** Keeps a picture of the page for people, as `.cache/test-output/page/<name>.png`. Of a long page it has the beginning. */
export async function keepScreenshot(page: Page, name: string): Promise<void> {
  const [width, height] = await page.evaluate<[number, number]>('[innerWidth, document.documentElement.scrollHeight]');
  const clip = { x: 0, y: 0, width, height: Math.min(height, MAX_PICTURE_HEIGHT) };
  await page.screenshot({ path: join(SCREENSHOTS, `${name}.png`), fullPage: true, clip });
}
