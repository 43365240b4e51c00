import { Command, InvalidArgumentError, type OutputConfiguration } from 'commander';

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

/** Seeds of the random generator are 32 bits long. */
const SEEDS = 2 ** 32;

/**
 * Reads the arguments of `npm run soak`.
 *
 * @param randomSeed the seed when the arguments name none
 * @param output where help and the sentence that says what is wrong go; the terminal when absent
 * @throws CommanderError after either, with its exit code
 */
export function parseSoakOptions(
  args: readonly string[],
  randomSeed: () => number,
  output: OutputConfiguration = {},
): SoakOptions {
  const command = new Command('npm run soak --')
    .description('Runs the whole system with faults, and checks from outside what must always hold.')
    .option('--minutes <number>', 'how long faults happen', number(0.1), 10)
    .option('--seed <number>', 'repeats the faults of a run; random when absent', wholeNumber(0))
    .option('--namespaces <number>', 'take fewer on a machine that does other work', wholeNumber(1), 1000)
    .option('--nodes <number>', 'nodes of RabbitMQ', wholeNumber(1), 3)
    .option('--agents <number>', 'built agents', wholeNumber(1), 3)
    .option('--keep', 'keep the logs of a run without a violation', false)
    .addHelpText('after', '\nExample: npm run soak -- --minutes 3 --namespaces 100 --seed 1')
    .configureOutput(output)
    .exitOverride()
    .parse([...args], { from: 'user' });
  const { seed = randomSeed() % SEEDS, ...options } = command.opts<Omit<SoakOptions, 'seed'> & { seed?: number }>();
  return { ...options, seed };
}

function number(least: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() !== '' && Number.isFinite(value) && value >= least) return value;
    throw new InvalidArgumentError(`It must be a number of at least ${least}.`);
  };
}

function wholeNumber(least: number): (text: string) => number {
  return (text) => {
    const value = number(least)(text);
    if (Number.isInteger(value) && value < SEEDS) return value;
    throw new InvalidArgumentError('It must be a whole number below 2^32.');
  };
}
