import type { PulseAgentClient } from '../src/client/client.ts';
import { pause } from './pause.ts';

/** Which namespaces exist, as the agents list them. */
export interface Registry {
  /** Lists all namespaces now; undefined: no agent answered. */
  list(): Promise<ReadonlySet<string> | undefined>;
  /** Waits until a namespace is in no listing that began after the call. */
  untilAbsent(namespace: string, signal: AbortSignal): Promise<void>;
  /** Lists again and again until the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
}

const EVERY_MS = 4_000;
const TIMEOUT_MS = 20_000;

/** One listing serves all who wait for the end of a namespace. */
export function createRegistry(client: Pick<PulseAgentClient, 'listNamespaces'>): Registry {
  let latest: { readonly begunMs: number; readonly names: ReadonlySet<string> } | undefined;
  const waiting = new Set<() => void>();
  const list = async (): Promise<ReadonlySet<string> | undefined> => {
    const begunMs = performance.now();
    const names = new Set<string>();
    try {
      for await (const { namespace } of client.listNamespaces({ timeoutMs: TIMEOUT_MS })) names.add(namespace);
    } catch {
      return undefined;
    }
    if (latest === undefined || latest.begunMs < begunMs) latest = { begunMs, names: names };
    for (const wake of waiting) wake();
    return names;
  };
  return {
    list,
    async untilAbsent(namespace, signal) {
      const calledMs = performance.now();
      while (!signal.aborted) {
        if (latest !== undefined && latest.begunMs > calledMs && !latest.names.has(namespace)) return;
        await new Promise<void>((resolve) => {
          const wake = (): void => {
            waiting.delete(wake);
            signal.removeEventListener('abort', wake);
            resolve();
          };
          waiting.add(wake);
          signal.addEventListener('abort', wake, { once: true });
        });
      }
    },
    async run(signal) {
      while (!signal.aborted) {
        await list();
        await pause(EVERY_MS, signal);
      }
      for (const wake of waiting) wake();
    },
  };
}
