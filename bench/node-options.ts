import { startOptions } from './built-agent.ts';
import { type ClaimSizes, measureClaims } from './claims.ts';
import { median } from './limits.ts';
import type { Site } from './site.ts';
import type { Row } from './table.ts';

/** Small runs: CPU time is less noisy than rates. */
const SIZES: ClaimSizes = {
  rounds: 2,
  namespaces: 1000,
  warmUp: 2000,
  reclaims: [{ count: 2000, concurrency: 32 }],
  newClaims: [{ count: 500, concurrency: 32 }],
  idleMs: 5_000,
};

/** How often each variant is measured; the variants take turns, so that a busy minute does not hit one alone. */
const TURNS = 2;

interface Variant {
  readonly options: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
}

/** The options that were considered, besides those of `npm start`. */
const VARIANTS: readonly Variant[] = [
  { options: [] },
  { options: ['--max-semi-space-size=2', '--v8-pool-size=1', '--optimize-for-size'] },
  { options: ['--max-semi-space-size=4', '--v8-pool-size=1'] },
  { options: ['--max-semi-space-size=4', '--v8-pool-size=1', '--heap-growing-percent=20'] },
  { options: ['--max-semi-space-size=8', '--v8-pool-size=1', '--heap-growing-percent=20'] },
  { options: ['--max-semi-space-size=16', '--v8-pool-size=1', '--heap-growing-percent=30'] },
  { options: startOptions(), environment: { UV_THREADPOOL_SIZE: '1' } },
  { options: startOptions(), environment: { UV_THREADPOOL_SIZE: '8' } },
];

const FIGURES = {
  're-claims, /s': (rows: readonly Row[]) => rows[0]?.figures?.['perSecond'],
  'CPU ms': (rows: readonly Row[]) => rows[0]?.figures?.['cpuMs'],
  'sealed, /s': (rows: readonly Row[]) => rows[1]?.figures?.['perSecond'],
  'sealed CPU ms': (rows: readonly Row[]) => rows[1]?.figures?.['cpuMs'],
  'new claims, /s': (rows: readonly Row[]) => rows[2]?.figures?.['perSecond'],
  'new CPU ms': (rows: readonly Row[]) => rows[2]?.figures?.['cpuMs'],
  'idle MB': (rows: readonly Row[]) => rows[3]?.figures?.['ownMb'],
  'after MB': (rows: readonly Row[]) => rows[4]?.figures?.['ownMb'],
  'peak MB': (rows: readonly Row[]) => rows[5]?.figures?.['ownMb'],
};

/** Measures claims and memory with several options of node, 32 claims in flight. */
export async function measureNodeOptions(site: Site, progress: (line: string) => void): Promise<string> {
  const variants: readonly Variant[] = [{ options: startOptions() }, ...VARIANTS];
  const turns = variants.map((): (readonly Row[])[] => []);
  for (let turn = 0; turn < TURNS; turn += 1) {
    for (const [index, variant] of variants.entries()) {
      progress(nameOf(variant));
      const { options: nodeOptions, environment = {} } = variant;
      turns[index]?.push(
        await measureClaims(site, () => undefined, SIZES, { nodeOptions, environment }, `options-${turn}-${index}`),
      );
      await site.forgetStore();
    }
  }
  const header = ['options of node', ...Object.keys(FIGURES)];
  const lines = variants.map((variant, index) => [
    nameOf(variant),
    ...Object.values(FIGURES).map((figure) => {
      const value = median((turns[index] ?? []).map((rows) => figure(rows) ?? Number.NaN));
      return value < 20 ? value.toFixed(2) : value.toFixed(0);
    }),
  ]);
  return [header, header.map(() => '---'), ...lines].map((line) => `| ${line.join(' | ')} |`).join('\n');
}

function nameOf({ options, environment = {} }: Variant): string {
  const variables = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
  return [...variables, ...options].join(' ') || 'none';
}
