import assert from 'node:assert/strict';
import { createPresence, jobsOf } from '../../src/agent/presence.ts';
import { createHealth, type HealthCheck } from '../../src/observe/health.ts';
import { createJobRuns } from '../../src/observe/job-runs.ts';
import type { Store } from '../../src/store/store.ts';
import { AgentError } from '../../src/util/agent-errors.ts';
import { createLog } from '../../src/util/log.ts';
import { createManualClock } from '../support/manual-clock.ts';
import { createManualSleep } from '../support/manual-sleep.ts';
import { createMemoryStore } from '../support/memory-store.ts';
import { agentOf } from '../support/records.ts';
import { createTestLog, linesWith } from '../support/test-log.ts';

const INSTANCE = 'host-own';

/** The presence of an agent with one part, in a store in memory. */
function makePresence(wrap: (agents: Store['agents']) => Store['agents'] = (agents) => agents) {
  const clock = createManualClock();
  const store = createMemoryStore();
  const health = createHealth(clock, ['store', 'statistics']);
  let check: HealthCheck = { state: 'up' };
  health.watch('store', () => check);
  health.watch('statistics', () => ({ state: 'up' }));
  const jobRuns = createJobRuns(clock);
  const { sleep, readNext } = createManualSleep();
  const { lines, write } = createTestLog();
  const log = createLog({ logLevel: 'trace', id: 'test' }, { write });
  const presence = createPresence(
    { instance: INSTANCE, store: { agents: wrap(store.agents) }, clock, sleep, log },
    { health, jobRuns, secretIds: ['current', 'previous'] },
  );
  return {
    clock,
    jobRuns,
    lines,
    agents: store.agents,
    presence,
    setPart: (next: HealthCheck) => void (check = next),
    /** Lets it check, and write if that is due. */
    next: () => readNext(presence),
    record: async () => await store.agents.get(INSTANCE),
  };
}

describe('the record of an agent', () => {
  it('says how the agent is, and is written again every ten seconds', async () => {
    const { clock, next, record, presence } = makePresence();
    await next();
    const first = await record();
    const now = new Date(clock.nowMs()).toISOString();
    assert.deepEqual(first, {
      instance: INSTANCE,
      revision: 1,
      version: first?.version,
      startedMs: clock.nowMs(),
      seenMs: clock.nowMs(),
      ready: true,
      degraded: false,
      stopping: false,
      parts: {
        store: { state: 'up', since: now, required: true },
        statistics: { state: 'up', since: now, required: false },
      },
      jobs: {},
      secretIds: ['current', 'previous'],
    });
    clock.advance(9_999);
    await next();
    assert.deepEqual(await record(), first);
    clock.advance(1);
    await next();
    assert.deepEqual(await record(), { ...first, revision: 2, seenMs: clock.nowMs() });
    await presence.close();
  });

  it('is written soon when a part changes, with the reason', async () => {
    const { clock, next, record, setPart, presence } = makePresence();
    await next();
    clock.advance(1000);
    setPart({ state: 'down', reason: 'no answer for 1 s' });
    await next();
    const changed = await record();
    assert.equal(changed?.ready, false);
    const since = new Date(clock.nowMs()).toISOString();
    assert.deepEqual(changed?.parts['store'], { state: 'down', since, required: true, reason: 'no answer for 1 s' });
    clock.advance(1000);
    setPart({ state: 'down', reason: 'no answer for 2 s' });
    await next();
    assert.deepEqual(await record(), changed, 'another reason waits');
    await presence.close();
  });

  it('is removed when the agent stops, and only then', async () => {
    const { next, record, agents, presence } = makePresence();
    await agents.insert(agentOf({ instance: 'other' }));
    await next();
    await presence.close();
    assert.equal(await record(), undefined);
    assert.equal((await agents.list()).length, 1);
  });

  it('is written again after another agent has removed it', async () => {
    const { clock, next, record, agents, presence } = makePresence();
    await next();
    await agents.remove(INSTANCE, 1);
    clock.advance(10_000);
    await next();
    assert.equal((await record())?.revision, 1);
    await presence.close();
  });

  it('waits for the store, and logs that once', async () => {
    let fault: AgentError | undefined = new AgentError('StoreUnavailable', 'By a test.');
    const { next, record, lines, presence } = makePresence((agents) => ({
      ...agents,
      async insert(agent) {
        if (fault !== undefined) throw fault;
        return await agents.insert(agent);
      },
    }));
    await next();
    await next();
    assert.equal(linesWith(lines, 'agent_record_not_written').length, 1);
    fault = undefined;
    await next();
    assert.equal((await record())?.revision, 1);
    await presence.close();
  });

  it('has the latest runs of all agents, as one of them does each', () => {
    const at = (seconds: number): string => new Date(Date.parse('2026-11-24T12:00:00Z') + seconds * 1000).toISOString();
    const clock = createManualClock();
    const runs = createJobRuns(clock);
    runs.observe('reconcile-broker', 'ok');
    runs.define([
      { name: 'reconcile-broker', everyMs: 300_000 },
      { name: 'survey-queues', everyMs: 5_000, longestPauseMs: 60_000 },
      { name: 'prune', everyMs: 60_000 },
    ]);
    clock.advance(10_000);
    runs.observe('survey-queues', 'BrokerUnavailable', 120.4);
    runs.observe('prune', 'aborted', 5);
    const peers = [
      { jobs: { 'reconcile-broker': { everyMs: 1, succeeded: at(-50) }, unknown: { everyMs: 1, succeeded: at(0) } } },
      { jobs: { 'survey-queues': { everyMs: 1, succeeded: at(5), failed: at(3), error: 'StoreUnavailable' } } },
      {
        jobs: {
          'survey-queues': { everyMs: 1, succeeded: at(4), run: { instance: 'peer', ended: at(4), tookMs: 7 } },
          prune: { everyMs: 1, succeeded: at(7), run: { instance: 'peer', ended: at(7), tookMs: 9 } },
        },
      },
    ];
    assert.deepEqual(jobsOf(runs.byName, peers, 'own'), {
      'reconcile-broker': { everyMs: 300_000, succeeded: at(0) },
      'survey-queues': {
        everyMs: 60_000,
        succeeded: at(5),
        failed: at(10),
        error: 'BrokerUnavailable',
        run: { instance: 'own', ended: at(10), tookMs: 120 },
      },
      prune: { everyMs: 60_000, succeeded: at(7), run: { instance: 'peer', ended: at(7), tookMs: 9 } },
    });
  });
});
