import * as z from 'zod';
import { parseInstant } from '../contract/fields.ts';
import { BoundedMap } from '../util/bounded-map.ts';
import type { Clock } from '../util/clock.ts';
import type { EventView } from './event-schemas.ts';
import type { NamespaceAnswer } from './namespace-schemas.ts';

type Failure = NamespaceAnswer['failures'][number];

/** The work of other agents for namespaces that fails, as their events say. */
export interface OthersFailing {
  observe(event: Pick<EventView, 'type' | 'instance' | 'data'>): void;
  of(namespace: string): Failure[];
}

/** An agent that fails again says so right after it has tried again; later, in ms, it has succeeded. */
const PATIENCE_MS = 60_000;
const MAX_FAILURES = 10_000;

const failingData = z.object({
  namespace: z.string(),
  work: z.string(),
  failures: z.int().nonnegative(),
  error: z.string(),
  retryAt: z.string(),
});

/** Knows nothing at first. */
export function createOthersFailing(instance: string, clock: Pick<Clock, 'nowMs'>): OthersFailing {
  const isOver = ({ untilMs }: { readonly untilMs: number }): boolean => clock.nowMs() > untilMs;
  const known = new BoundedMap<
    string,
    { readonly failure: Failure; readonly namespace: string; readonly untilMs: number }
  >({ maxSize: MAX_FAILURES, isExpired: isOver });
  return {
    observe({ type, instance: by, data }) {
      if (type !== 'namespace.failing' || by === instance) return;
      const read = failingData.safeParse(data);
      const retryMs = read.success ? parseInstant(read.data.retryAt) : undefined;
      if (!read.success || retryMs === undefined) return;
      const { namespace, ...failure } = read.data;
      const untilMs = retryMs + PATIENCE_MS;
      known.set(`${failure.work} ${namespace} ${by}`, { failure: { ...failure, instance: by }, namespace, untilMs });
    },
    of: (namespace) =>
      [...known.values()].filter((one) => one.namespace === namespace && !isOver(one)).map(({ failure }) => failure),
  };
}
