import { setTimeout as delay } from 'node:timers/promises';
import type { Agent } from '../../src/agent/agent.ts';
import type { HealthReport } from '../../src/observe/health.ts';

/** How long something may take to show, in ms: probes come every few seconds, and the machine may be busy. */
const PATIENCE_MS = 60_000;
const LOOK_EVERY_MS = 100;

/** What an agent answers over HTTP. */
export async function fetchFrom(agent: Agent, path: string): Promise<{ status: number; body: string }> {
  const response = await fetch(`http://127.0.0.1:${agent.httpPort}${path}`, {
    headers: { connection: 'close' },
    signal: AbortSignal.timeout(10_000),
  });
  return { status: response.status, body: await response.text() };
}

/** What `/readyz` says now. */
export async function healthOf(agent: Agent): Promise<HealthReport & { readonly status: number }> {
  const { status, body } = await fetchFrom(agent, '/readyz');
  return { ...(JSON.parse(body) as HealthReport), status };
}

/** Waits until `/readyz` says what is wanted, and returns it. */
export async function untilHealth(agent: Agent, wanted: (health: HealthReport) => boolean): Promise<HealthReport> {
  const late = performance.now() + PATIENCE_MS;
  for (;;) {
    const health = await healthOf(agent);
    if (wanted(health)) return health;
    if (performance.now() > late) throw new Error(`It does not come to be: ${JSON.stringify(health, null, 2)}`);
    await delay(LOOK_EVERY_MS);
  }
}

/** The samples of a scrape, by name and labels as they stand there. */
export async function scrape(agent: Agent): Promise<ReadonlyMap<string, number>> {
  const { body } = await fetchFrom(agent, '/metrics');
  const samples = new Map<string, number>();
  for (const line of body.split('\n')) {
    const [, name, value] = /^([^#\s]\S*?(?:\{.*\})?) (\S+)$/.exec(line) ?? [];
    if (name !== undefined) samples.set(name, Number(value));
  }
  return samples;
}

/** Waits until a sample has a value that is wanted. */
export async function untilSample(
  agent: Agent,
  name: string,
  wanted: (value: number | undefined) => boolean,
): Promise<void> {
  const late = performance.now() + PATIENCE_MS;
  for (;;) {
    const samples = await scrape(agent);
    if (wanted(samples.get(name))) return;
    if (performance.now() > late) throw new Error(`${name} is ${samples.get(name)} all the time.`);
    await delay(LOOK_EVERY_MS);
  }
}
