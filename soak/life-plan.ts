import type { Random } from '../test/simulation/random.ts';

/** How a namespace lives from a first claim to its end. */
export interface Life {
  /** How long its lease is held, in ms. */
  readonly holdMs: number;
  /** `release`: its holder releases it; `expire`: its holder stops claiming, and it expires. */
  readonly end: 'release' | 'expire';
  /** The lifetime that each claim asks for, in ms; undefined: the agent's default. */
  readonly lifetimeMs: number | undefined;
  /** Queues, publishers and consumers; undefined: none. */
  readonly work: Work | undefined;
}

/** What a namespace with connections does. */
export interface Work {
  readonly queueType: 'classic' | 'quorum';
  readonly publishEveryMs: number;
  /** How long a consumer takes for a message, in ms: some take longer than the publisher. */
  readonly consumeMs: number;
  /** What happens to a second queue: it grows until its owner is warned and is then purged, or until it is deleted. */
  readonly flood: 'none' | 'warned' | 'deleted';
}

/** Up to this many namespaces, lives are as short as below. */
const NAMESPACES_AT_FULL_SPEED = 200;

/** The longest time of a timer, in ms. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Longer than any run, in ms. */
const TO_THE_END_MS = 24 * 3_600_000;

/**
 * Lives are longer where there are more namespaces, so that as many begin and end in a minute.
 *
 * Most namespaces are held for minutes, some for less than a rotation, and some to the end.
 */
export function drawLife(random: Random, isWorking: boolean, namespaces = 1): Life {
  const end = random.weighted({ release: 5, expire: 3 } as const);
  return {
    holdMs: Math.min(MAX_TIMER_MS, drawHoldMs(random) * Math.max(1, namespaces / NAMESPACES_AT_FULL_SPEED)),
    end,
    lifetimeMs: end === 'expire' ? Math.round(random.between(60_000, 150_000)) : undefined,
    work: isWorking ? drawWork(random) : undefined,
  };
}

function drawHoldMs(random: Random): number {
  const kind = random.weighted({ short: 2, long: 4, 'to-the-end': 4 } as const);
  if (kind === 'to-the-end') return TO_THE_END_MS;
  return Math.round(kind === 'short' ? random.between(5_000, 60_000) : random.between(90_000, 480_000));
}

function drawWork(random: Random): Work {
  return {
    queueType: random.weighted({ classic: 3, quorum: 1 } as const),
    publishEveryMs: Math.round(random.between(300, 1_500)),
    consumeMs: Math.round(random.chance(0.3) ? random.between(500, 2_000) : random.between(0, 20)),
    flood: random.weighted({ none: 2, warned: 1, deleted: 1 } as const),
  };
}
