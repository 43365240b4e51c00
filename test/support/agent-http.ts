import { setTimeout as delay } from 'node:timers/promises';
import type { Agent } from '../../src/agent/agent.ts';
import type { HealthReport, PartName, PartReport } from '../../src/observe/health.ts';

/** How long a change may take to show, in ms: probes come every few seconds, and the machine may be busy. */
const PATIENCE_MS = 60_000;
const POLL_EVERY_MS = 100;

/** Requests a path of an agent's HTTP server. */
export async function fetchFrom(agent: Agent, path: string): Promise<{ status: number; body: string }> {
  const response = await fetch(`http://127.0.0.1:${agent.httpPort}${path}`, {
    headers: { connection: 'close' },
    signal: AbortSignal.timeout(10_000),
  });
  return { status: response.status, body: await response.text() };
}

/** The health of an agent with an HTTP port: it watches every part. */
export interface WholeHealth extends HealthReport {
  readonly parts: Readonly<Record<PartName, PartReport>>;
}

/** The answer of `/readyz`. */
export async function healthOf(agent: Agent): Promise<WholeHealth & { readonly status: number }> {
  const { status, body } = await fetchFrom(agent, '/readyz');
  return { ...(JSON.parse(body) as WholeHealth), status };
}

/** Waits until the answer of `/readyz` is wanted, and returns it. */
export async function untilHealth(agent: Agent, wanted: (health: WholeHealth) => boolean): Promise<WholeHealth> {
  const deadlineMs = performance.now() + PATIENCE_MS;
  for (;;) {
    const health = await healthOf(agent);
    if (wanted(health)) return health;
    if (performance.now() > deadlineMs)
      throw new Error(`The health did not become as wanted: ${JSON.stringify(health, null, 2)}`);
    await delay(POLL_EVERY_MS);
  }
}

/** The samples of `/metrics`, by name with labels. */
export async function scrape(agent: Agent): Promise<ReadonlyMap<string, number>> {
  const { body } = await fetchFrom(agent, '/metrics');
  const samples = new Map<string, number>();
  for (const line of body.split('\n')) {
    const [, name, value] = /^([^#\s]\S*?(?:\{.*\})?) (\S+)$/.exec(line) ?? [];
    if (name !== undefined) samples.set(name, Number(value));
  }
  return samples;
}

/** Waits until a sample has a wanted value. */
export async function untilSample(
  agent: Agent,
  name: string,
  wanted: (value: number | undefined) => boolean,
): Promise<void> {
  const deadlineMs = performance.now() + PATIENCE_MS;
  for (;;) {
    const samples = await scrape(agent);
    if (wanted(samples.get(name))) return;
    if (performance.now() > deadlineMs) throw new Error(`${name} stayed at ${samples.get(name)}.`);
    await delay(POLL_EVERY_MS);
  }
}
