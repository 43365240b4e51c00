import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { claimableLimits } from '../../../src/config/claimable-limits.ts';
import type { ClaimedLimits } from '../../../src/contract/queue-limits-field.ts';
import { WireError } from '../../../src/contract/wire-errors.ts';
import { checkQueueLimits } from '../../../src/namespaces/claim/check-queue-limits.ts';
import { limitsOfQueue } from '../../../src/queues/queue-limits.ts';
import { useConfigFiles } from '../../support/config-files.ts';

const NAMESPACE = 'taskcluster-x';

describe('the limits for queues that a claim may ask for', () => {
  const { load } = useConfigFiles();
  const configOf = (...queues: object[]) => load(JSON.stringify({ queues }));
  const raise = (deleteAtMessages: number, match = '.*') => ({ match, ownersMayRaiseTo: { deleteAtMessages } });
  const check = (config: ReturnType<typeof load>, queueLimits: ClaimedLimits, stored?: ClaimedLimits): string => {
    try {
      checkQueueLimits(
        { namespace: NAMESPACE, queueLimits },
        stored && { state: 'active', queueLimits: stored },
        config,
      );
      return 'accepted';
    } catch (error) {
      assert.ok(error instanceof WireError && error.code === 'InputError');
      assert.deepEqual(error.details, { field: 'queueLimits' });
      return error.message;
    }
  };

  it('are those of a rule that may hold for its queues', () => {
    assert.match(
      check(configOf(), { deleteAtMessages: 9000 }),
      /^The field queueLimits is not allowed for taskcluster-x: /,
    );
    assert.equal(check(configOf(), {}), 'accepted', 'it asks for nothing');
    assert.equal(check(configOf(raise(9000)), { deleteAtMessages: 9000 }), 'accepted');
    assert.match(
      check(configOf(raise(9000)), { deleteAtMessages: 9001 }),
      /must be from 8000 to 9000 for taskcluster-x: /,
    );
    assert.match(check(configOf(raise(9000)), { deleteAtMessages: 7999 }), /must be from 8000 to 9000/);
    assert.match(check(configOf(raise(9000, 'taskcluster-y')), { deleteAtMessages: 9000 }), /is not allowed/);
    assert.equal(check(configOf(raise(9000, 'queue/taskcluster-x/logs')), { deleteAtMessages: 9000 }), 'accepted');
    const hidden = configOf({ match: NAMESPACE }, raise(9000, '.*x.*'));
    assert.match(check(hidden, { deleteAtMessages: 9000 }), /is not allowed/);
  });

  it('have a warning before the deletion', () => {
    const config = configOf(raise(9000));
    assert.equal(check(config, { warnAtMessages: 7999 }), 'accepted');
    assert.match(check(config, { warnAtMessages: 8000 }), /at least 4000 and less than deleteAtMessages \(8000\)/);
    assert.match(check(config, { warnAtMessages: 3999 }), /at least 4000/);
    assert.equal(check(config, { warnAtMessages: 8999, deleteAtMessages: 9000 }), 'accepted');
  });

  it('have bytes only where these are watched', () => {
    const bytes = { ...raise(9000), warnAtBytes: null, deleteAtBytes: null };
    assert.match(check(configOf(bytes), { deleteAtBytes: 2 ** 40 }), /must have no limit in bytes/);
    const raised = { match: '.*', ownersMayRaiseTo: { deleteAtBytes: 2 ** 40 } };
    assert.equal(check(configOf(raised), { deleteAtBytes: 2 ** 40 }), 'accepted');
    assert.match(check(configOf(raised), { deleteAtBytes: 2 ** 41 }), /deleteAtBytes must be from 2147483648 to /);
  });

  it('are never refused where they are stored, so that no lease is lost when an operator lowers a bound', () => {
    assert.equal(check(configOf(), { deleteAtMessages: 9000 }, { deleteAtMessages: 9000 }), 'accepted');
    assert.match(check(configOf(), { deleteAtMessages: 9001 }, { deleteAtMessages: 9000 }), /is not allowed/);
  });

  it('never make a queue hold less than its rule says or more than it allows, and always warn first', () => {
    const amount = fc.integer({ min: 1, max: 30 });
    const rule = fc
      .record({
        match: fc.constantFrom('.*', NAMESPACE, 'queue/taskcluster-x/a', 'queue/.*a', 'taskcluster-y'),
        warn: amount,
        more: amount,
        raise: fc.option(amount, { nil: undefined }),
      })
      .map(({ match, warn, more, raise: by }) => ({
        match,
        warnAtMessages: warn,
        deleteAtMessages: warn + more,
        ...(by === undefined ? {} : { ownersMayRaiseTo: { deleteAtMessages: warn + more + by } }),
      }));
    const limits = fc.record(
      { warnAtMessages: amount, deleteAtMessages: fc.integer({ min: 1, max: 90 }) },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(fc.uniqueArray(rule, { maxLength: 3, selector: ({ match }) => match }), limits, (rules, claimed) => {
        let config: ReturnType<typeof load>;
        try {
          config = configOf(...rules);
        } catch {
          return; // One of them can never match.
        }
        const allowed = claimableLimits(config, NAMESPACE);
        for (const queue of ['queue/taskcluster-x/a', 'queue/taskcluster-x/b']) {
          const own = limitsOfQueue(config, queue);
          const { warnAtMessages, deleteAtMessages } = limitsOfQueue(config, queue, { queueLimits: claimed });
          const index = Number(own.rule.split('.')[1] ?? -1);
          const most = config.queues[index]?.ownersMayRaiseTo?.deleteAtMessages ?? own.deleteAtMessages;
          assert.ok(deleteAtMessages >= own.deleteAtMessages && deleteAtMessages <= most);
          assert.ok(warnAtMessages >= own.warnAtMessages && warnAtMessages < deleteAtMessages);
          if (allowed !== undefined) assert.ok(most <= allowed.deleteAtMessages.max);
        }
      }),
      { numRuns: 300 },
    );
  });
});
