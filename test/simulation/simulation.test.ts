import assert from 'node:assert/strict';
import { pathToFileURL } from 'node:url';
import { builtFile } from '../support/built-agent.ts';
import type * as History from './history.ts';

/**
 * Histories that are played concurrently: they share nothing, and one turn of the event loop serves all of them. With
 * more the garbage collector has more work.
 */
const CONCURRENCY = 10;

const HISTORIES = Number(process.env['SIMULATED_HISTORIES'] ?? 10_000);
const SEED = process.env['SIMULATION_SEED'];

/** The same histories every time, so that results are comparable. SIMULATION_FIRST_SEED=random plays other ones. */
const FIRST = process.env['SIMULATION_FIRST_SEED'] ?? '1';
const FIRST_SEED = FIRST === 'random' ? Math.floor(Math.random() * 2 ** 31) : Number(FIRST);

describe('random histories of agents, clients, crashes and manual changes on a virtual clock', function () {
  this.timeout(1_800_000);

  // As built: the TypeScript loader names every function when it is created, which takes two fifths of the time.
  let playHistory: typeof History.playHistory;
  before(async () => {
    const file = pathToFileURL(await builtFile('test/simulation/history.js')).href;
    ({ playHistory } = (await import(file)) as typeof History);
  });

  it('violate no invariant', async () => {
    const first = SEED === undefined ? FIRST_SEED : Number(SEED);
    const last = SEED === undefined ? first + HISTORIES : first + 1;
    let next = first;
    let broken: number | undefined;
    const lane = async (): Promise<void> => {
      while (broken === undefined && next < last) {
        const seed = next;
        next += 1;
        const { violation } = await playHistory(seed);
        if (violation !== undefined) broken = Math.min(seed, broken ?? seed);
      }
    };
    await Promise.all(Array.from({ length: CONCURRENCY }, lane));
    if (broken === undefined) return;
    const { violation, trace } = await playHistory(broken, { traced: true });
    assert.fail(
      `${violation}\n\n${trace.join('\n')}\n\nSIMULATION_SEED=${broken} replays this history (found after ${broken - first + 1} of ${last - first}).`,
    );
  });
});
