import assert from 'node:assert/strict';
import { parseSoakOptions } from '../../soak/options.ts';
import { drawLife } from '../../soak/life-plan.ts';
import { createRandom } from '../simulation/random.ts';

describe('the options of the soak', () => {
  const said: string[] = [];
  const say = (text: string): void => void said.push(text);
  const parse = (...args: string[]) => parseSoakOptions(args, () => 2 ** 32 + 5, { writeOut: say, writeErr: say });

  it('have defaults, and a seed that is printed so that the run can be repeated', () => {
    const defaults = { minutes: 10, seed: 5, namespaces: 1000, nodes: 3, agents: 3, keep: false };
    assert.deepEqual(parse(), defaults);
    assert.deepEqual(parse('--minutes', '0.5', '--seed', '42', '--nodes', '1', '--keep'), {
      ...defaults,
      minutes: 0.5,
      seed: 42,
      nodes: 1,
      keep: true,
    });
  });

  it('refuse what is no number, or too small, and unknown ones', () => {
    assert.throws(
      () => parse('--minutes', 'ten'),
      /--minutes .* 'ten' is invalid\. It must be a number of at least 0\.1\./,
    );
    assert.throws(() => parse('--agents', '0'), /--agents .* It must be a number of at least 1\./);
    assert.throws(() => parse('--seed', '1.5'), /--seed .* It must be a whole number/);
    assert.throws(() => parse('--agent', '1'), /unknown option '--agent'/);
  });

  it('are listed by --help, which is no failure', () => {
    said.length = 0;
    assert.throws(() => parse('--help'), { exitCode: 0 });
    for (const option of ['--minutes', '--seed', '--namespaces', '--nodes', '--agents', '--keep']) {
      assert.match(said.join(''), new RegExp(option));
    }
  });
});

describe('the lives of the soak', () => {
  it('are functions of the random numbers; only some namespaces have queues', () => {
    const lives = (seed: number) => Array.from({ length: 50 }, () => drawLife(createRandom(seed), seed % 2 === 0));
    assert.deepEqual(lives(2), lives(2));
    assert.ok(lives(2).every(({ work }) => work !== undefined));
    assert.ok(lives(3).every(({ work }) => work === undefined));
  });

  it('ask for a lifetime when they end by expiry', () => {
    const random = createRandom(1);
    const lives = Array.from({ length: 200 }, () => drawLife(random, true));
    assert.ok(lives.every(({ end, lifetimeMs }) => (end === 'expire') === (lifetimeMs !== undefined)));
    assert.deepEqual(new Set(lives.map(({ work }) => work?.flood)), new Set(['none', 'warned', 'deleted']));
  });
});
