import { parseArgs } from 'node:util';

/** What `npm run soak` is asked for. */
export interface SoakOptions {
  /** How long faults happen, in minutes; the start and the settling at the end come on top. */
  readonly minutes: number;
  readonly seed: number;
  readonly namespaces: number;
  readonly nodes: number;
  readonly agents: number;
  /** Whether the folder with all logs stays after a run without a violation. */
  readonly keep: boolean;
}

const DEFAULTS = { minutes: '10', namespaces: '1000', nodes: '3', agents: '3' } as const;

/** Seeds of the random generator are 32 bits long. */
const SEEDS = 2 ** 32;

/**
 * Reads the arguments of `npm run soak`.
 *
 * @param randomSeed the seed when the arguments name none
 * @throws Error with one sentence that says what is wrong
 */
export function parseSoakOptions(args: readonly string[], randomSeed: () => number): SoakOptions {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({
    args: [...args],
    options: {
      minutes: { ...text, default: DEFAULTS.minutes },
      seed: text,
      namespaces: { ...text, default: DEFAULTS.namespaces },
      nodes: { ...text, default: DEFAULTS.nodes },
      agents: { ...text, default: DEFAULTS.agents },
      keep: { type: 'boolean', default: false },
    },
  });
  return {
    minutes: positive('minutes', values.minutes, 0.1),
    seed: values.seed === undefined ? randomSeed() % SEEDS : whole('seed', values.seed, 0),
    namespaces: whole('namespaces', values.namespaces, 1),
    nodes: whole('nodes', values.nodes, 1),
    agents: whole('agents', values.agents, 1),
    keep: values.keep,
  };
}

function positive(name: string, text: string, least: number): number {
  const value = Number(text);
  if (text.trim() !== '' && Number.isFinite(value) && value >= least) return value;
  throw new Error(`--${name} must be a number of at least ${least}, not "${text}".`);
}

function whole(name: string, text: string, least: number): number {
  const value = positive(name, text, least);
  if (Number.isInteger(value) && value < SEEDS) return value;
  throw new Error(`--${name} must be a whole number below 2^32, not "${text}".`);
}
