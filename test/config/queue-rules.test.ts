import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { findShadow } from '../../src/config/rule-shadows.ts';
import { limitsOfQueue } from '../../src/queues/queue-limits.ts';
import { readNamePattern } from '../../src/util/name-pattern.ts';
import { faultsOf, useConfigFiles } from '../support/config-files.ts';

const PREFIX = 'taskcluster-';

describe('the rules for queues', () => {
  const { load } = useConfigFiles();
  const rules = (...lines: string[]): string => `queues:\n${lines.map((line) => `  - { ${line} }\n`).join('')}`;

  it('take what they leave out from the settings, and the first that matches holds', () => {
    const config = load(
      rules(
        'match: "queue/taskcluster-builds/logs.*", deleteAtMessages: 50000',
        'match: taskcluster-builds, warnAtMessages: 10, deleteAtMessages: 20',
        'match: "taskcluster-big-.*", warnAtBytes: null, deleteAtBytes: null',
        'match: taskcluster-kept, onOvergrown: leave',
      ),
    );
    const of = (queue: string) => {
      const { rule, warnAtMessages, deleteAtMessages, warnAtBytes } = limitsOfQueue(config, queue);
      return [rule, warnAtMessages, deleteAtMessages, warnAtBytes];
    };
    assert.deepEqual(of('queue/taskcluster-builds/logs/a'), ['queues.0', 4000, 50_000, 2 ** 30]);
    assert.deepEqual(of('queue/taskcluster-builds/jobs'), ['queues.1', 10, 20, 2 ** 30]);
    assert.deepEqual(of('queue/taskcluster-builds2/jobs'), ['default', 4000, 8000, 2 ** 30]);
    assert.deepEqual(of('queue/taskcluster-big-x/jobs'), ['queues.2', 4000, 8000, null]);
    assert.deepEqual(of('queue/other/jobs'), ['default', 4000, 8000, 2 ** 30]);
    assert.deepEqual(
      config.queues.map(({ backstopMessages, backstopBytes }) => [backstopMessages, backstopBytes]),
      [
        [500_000, 10 * 2 ** 31],
        [200, 10 * 2 ** 31],
        [80_000, null],
        [null, null],
      ],
    );
  });

  const faults: [string, RegExp][] = [
    ['queues: all', /^The setting queues must be a list of rules\.$/],
    ['queues: [all]', /^The setting queues\.0 must be a map with a match\.$/],
    ['queues: [{ warnAtMessages: 3 }]', /^The setting queues\.0\.match must be a string\.$/],
    [rules('match: "("'), /^The setting queues\.0\.match must be a regular expression/],
    [rules('match: ".*", colour: blue'), /^The setting queues\.0\.colour is unknown/],
    [rules('match: ".*", deleteAtMessages: 0'), /^The setting queues\.0\.deleteAtMessages must be at least 1\.$/],
    [
      rules('match: ".*", deleteAtMessages: 4000'),
      /^The setting queues\.0\.warnAtMessages \(4000\) must be less than its deleteAtMessages \(4000\)/,
    ],
    [
      rules('match: ".*", warnAtBytes: 2147483648'),
      /^The setting queues\.0\.warnAtBytes \(2147483648\) must be less than its deleteAtBytes/,
    ],
    [rules('match: ".*", onOvergrown: drop'), /^The setting queues\.0\.onOvergrown must be delete, purge or leave\.$/],
    [rules('match: ".*", warnAtBytes: null'), /^The settings queues\.0\.warnAtBytes and queues\.0\.deleteAtBytes must/],
    [
      `queueBackstopMessages: 16000\n${rules('match: ".*", deleteAtMessages: 8001')}`,
      /^The setting queueBackstopMessages must be at least twice queues\.0\.deleteAtMessages, also as owners may raise it \(8001\)/,
    ],
    [
      rules('match: ".*", deleteAtMessages: 9000', 'match: taskcluster-builds'),
      /^The setting queues\.1 can never match: all queues that it is for match queues\.0 first\./,
    ],
    [
      rules('match: ".*", ownersMayRaiseTo: { deleteAtMessages: 7999 }'),
      /^The setting queues\.0\.ownersMayRaiseTo\.deleteAtMessages \(7999\) must not be less than its deleteAtMessages/,
    ],
    [
      rules('match: ".*", warnAtBytes: null, deleteAtBytes: null, ownersMayRaiseTo: { deleteAtBytes: 1 }'),
      /^The setting queues\.0\.ownersMayRaiseTo\.deleteAtBytes has no effect, as its deleteAtBytes is null/,
    ],
    [
      rules('match: ".*", ownersMayRaiseTo: { warnAtMessages: 1 }'),
      /^The setting queues\.0\.ownersMayRaiseTo\.warnAtMessages is unknown/,
    ],
    [
      `queueBackstopMessages: 20000\n${rules('match: ".*", ownersMayRaiseTo: { deleteAtMessages: 10001 }')}`,
      /^The setting queueBackstopMessages must be at least twice queues\.0\.deleteAtMessages, also as owners may raise it/,
    ],
    [rules('match: ".*", idleExpirySeconds: 0'), /^The setting queues\.0\.idleExpirySeconds must be at least 1\.$/],
    [rules('match: builds'), /^The setting queues\.0\.match \(builds\) can match no queue: give a pattern for whole/],
  ];
  for (const [yaml, sentence] of faults) {
    it(`are refused with one sentence: ${JSON.stringify(yaml)}`, () => {
      const [fault = 'no fault', ...others] = faultsOf(() => load(yaml));
      assert.match(fault, sentence);
      assert.deepEqual(others, []);
    });
  }

  const shadow = (...patterns: string[]) => findShadow(patterns, patterns.length - 1, PREFIX);

  it('are found to never match behind an earlier one', () => {
    assert.equal(shadow('queue/taskcluster-a/.*', 'queue/taskcluster-a/jobs'), 0);
    assert.equal(shadow('taskcluster-a', 'queue/taskcluster-a/jobs'), 0);
    assert.equal(shadow('taskcluster-[ab]', 'taskcluster-a'), 0);
    assert.equal(shadow('taskcluster-(a|b)', 'queue/taskcluster-b/(x|y)'), 0);
    assert.equal(shadow('taskcluster-a.*', 'queue/taskcluster-ab/x.*'), 0);
    assert.equal(shadow('queue/taskcluster-a.*', 'taskcluster-ab.*'), 0);
    assert.equal(shadow('queue/taskcluster-.*', '(?i).*LOGS'), 0);
    assert.equal(shadow('x|y', 'taskcluster-b', 'taskcluster-b'), 1);
    assert.equal(shadow('^taskcluster-.*$', 'a|b'), 0);
  });

  it('are not said to never match where they can', () => {
    assert.equal(shadow('queue/taskcluster-a/jobs', 'taskcluster-a'), undefined);
    assert.equal(shadow('queue/taskcluster-ab.*', 'taskcluster-a.*'), undefined);
    assert.equal(shadow('taskcluster-a', 'queue/taskcluster-a|queue/taskcluster-b/.*'), undefined);
    assert.equal(shadow('taskcluster-ab*', 'taskcluster-a'), 0);
    assert.equal(shadow('queue/q.*', 'q.*'), undefined);
    assert.equal(
      shadow('queue/taskcluster-a/x.*', String.raw`queue/taskcluster-a/x\(|queue/taskcluster-b/y`),
      undefined,
    );
    assert.equal(shadow('taskcluster-a.*', '.*'), undefined);
  });

  it('can match no queue where nothing begins as the pattern does', () => {
    for (const pattern of ['builds', 'queue/builds/.*', 'queue/taskcluster-a', 'taskcluster-a/b', 'exchange/.*']) {
      assert.equal(shadow(pattern), 'no-queue', pattern);
    }
    for (const pattern of ['.*', 'queue/.*', 'task.*', 'taskcluster-', 'queue/taskcluster-a/', 'b.*|taskcluster-a']) {
      assert.equal(shadow(pattern), undefined, pattern);
    }
  });

  it('are never found to match nothing where a queue shows the contrary', () => {
    const part = fc.constantFrom(
      'taskcluster-',
      'queue/',
      'a',
      'b',
      '/',
      '.*',
      '[ab]',
      '(a|b)',
      '|',
      'a*',
      String.raw`\(`,
    );
    const pattern = fc.array(part, { minLength: 1, maxLength: 5 }).map((parts) => parts.join(''));
    const name = fc
      .tuple(fc.constantFrom('', 'a', 'b', 'ab', 'ba'), fc.constantFrom('', 'a', 'b', 'a/b', 'ab', '('))
      .map(([namespace, rest]) => ({ namespace: `taskcluster-${namespace}`, rest }));
    fc.assert(
      fc.property(
        fc.array(pattern, { minLength: 1, maxLength: 3 }),
        fc.array(name, { maxLength: 30 }),
        (all, names) => {
          const patterns = all.map(readNamePattern);
          const index = patterns.length - 1;
          const isMatched = names.some(({ namespace, rest }) => {
            const queue = `queue/${namespace}/${rest}`;
            return patterns.findIndex((one) => one.test(queue) || one.test(namespace)) === index;
          });
          return !isMatched || findShadow(all, index, PREFIX) === undefined;
        },
      ),
      { numRuns: 3_000 },
    );
  });
});
