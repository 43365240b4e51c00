import assert from 'node:assert/strict';
import type { Page } from 'playwright-core';
import { namespaceName } from '../../dev/page/sample-installation.ts';

/** A view of the page for operators. */
export interface PageView {
  readonly name: string;
  /** The fragment of its address. */
  readonly fragment: string;
  /** Resolves when it shows what it has to show. */
  readonly shown: (page: Page) => Promise<unknown>;
}

const NAMESPACE = namespaceName(0);

/** All views, of the made-up installation. */
export const PAGE_VIEWS: readonly PageView[] = [
  {
    name: 'overview',
    fragment: '#/',
    async shown(page) {
      await rowOf('Queues that reach a threshold next')(page);
      await rowOf('Agents')(page);
    },
  },
  { name: 'queues', fragment: '#/queues', shown: rowOf('Queues') },
  { name: 'namespaces', fragment: '#/namespaces', shown: rowOf('Namespaces') },
  {
    name: 'namespace',
    fragment: `#/namespaces/${NAMESPACE}`,
    async shown(page) {
      await rowOf(`Queues of ${NAMESPACE}`)(page);
      await page.getByRole('img', { name: /^Depth of / }).waitFor();
    },
  },
  {
    name: 'events',
    fragment: '#/events',
    shown: (page) =>
      page
        .getByLabel(/^Live events/)
        .getByRole('listitem')
        .first()
        .waitFor(),
  },
  {
    name: 'audit',
    fragment: '#/audit',
    shown: (page) => page.getByRole('main').getByRole('listitem').first().waitFor(),
  },
  { name: 'health', fragment: '#/health', shown: rowOf('Recurring jobs') },
];

/** Shows a view of a page that is open. */
export async function showView(page: Page, view: PageView): Promise<void> {
  await page.evaluate(`location.hash = ${JSON.stringify(view.fragment)}`);
  await view.shown(page);
}

function rowOf(table: string) {
  return (page: Page): Promise<void> =>
    page.getByRole('table', { name: table, exact: true }).getByRole('row').nth(1).waitFor();
}

/** The name of what has the focus; fails where a viewer cannot see it. */
export async function focusedName(page: Page): Promise<string> {
  const { name, visible } = await page.evaluate<{ name: string; visible: boolean }>(`(() => {
    const element = document.activeElement;
    const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle(element);
    const { width } = element.getBoundingClientRect();
    const isMarked = (outlineStyle !== 'none' && outlineWidth !== '0px') || boxShadow !== 'none';
    return {
      name: (element.getAttribute('aria-label') ?? element.textContent ?? '').replace(/[↑↓]$/, '').trim(),
      // The whole content has it after another view was opened.
      visible: element === document.body || element.matches('main') || (width > 0 && isMarked),
    };
  })()`);
  assert.ok(visible, `${name} has the focus, and nothing shows it`);
  return name;
}

/** Presses Tab until something of this name has the focus. */
export async function tabTo(page: Page, name: string | RegExp): Promise<void> {
  const passed: string[] = [];
  while (passed.length < 120) {
    await page.keyboard.press('Tab');
    const current = await focusedName(page);
    if (typeof name === 'string' ? current === name : name.test(current)) return;
    passed.push(current);
  }
  throw new Error(`Tab does not reach ${String(name)}, but ${passed.join(', ')}`);
}
