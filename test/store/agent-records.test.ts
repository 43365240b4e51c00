import assert from 'node:assert/strict';
import { type AgentRecord, isCurrent, lostAgents, prunableAgents } from '../../src/store/agent-records.ts';
import { agentOf } from '../support/records.ts';

const NOW_MS = Date.parse('2026-11-24T12:00:00Z');
const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;

/** An agent that started and was last seen so many minutes ago. */
function agent(instance: string, startedMinutesAgo: number, seenMinutesAgo = 0): AgentRecord {
  const ago = (minutes: number): number => NOW_MS - minutes * MINUTE;
  return agentOf({ instance, startedMs: ago(startedMinutesAgo), seenMs: ago(seenMinutesAgo) });
}

function namesOf(records: readonly AgentRecord[]): string[] {
  return records.map(({ instance }) => instance);
}

describe('records of agents', () => {
  it('say how an agent is for less than a minute, whatever they say', () => {
    assert.equal(isCurrent({ seenMs: NOW_MS - 45_000 }, NOW_MS), true);
    assert.equal(isCurrent({ seenMs: NOW_MS - 45_001 }, NOW_MS), false);
    // The clock of the agent is ahead.
    assert.equal(isCurrent({ seenMs: NOW_MS + 20_000 }, NOW_MS), true);
  });

  it('show an agent as lost that was not seen and that no other one has replaced', () => {
    const lost = (...records: AgentRecord[]): string[] => namesOf(lostAgents(records, NOW_MS));
    assert.deepEqual(lost(agent('a', 60), agent('b', 60)), []);
    assert.deepEqual(lost(agent('a', 60), agent('b', 60, 5)), ['b']);
    assert.deepEqual(lost(agent('a', 60, 5)), ['a']);
    // Restarted: another one started after it was last seen.
    assert.deepEqual(lost(agent('a', 4), agent('b', 60, 5)), []);
    // One replaces one.
    assert.deepEqual(lost(agent('a', 4), agent('b', 60, 5), agent('c', 60, 5)).length, 1);
    // Its own start is none, even if its clock was set back since.
    assert.deepEqual(lost(agent('a', 60), agent('b', 3, 5)), ['b']);
    // One that started before is none.
    assert.deepEqual(lost(agent('a', 6), agent('b', 60, 5)), ['b']);
  });

  it('show no agent as lost that is killed again and again and runs now', () => {
    const killed = Array.from({ length: 20 }, (_, index) => agent(`k${index}`, 100 - 4 * index, 97 - 4 * index));
    assert.deepEqual(lostAgents([...killed, agent('now', 10)], NOW_MS), []);
    assert.deepEqual(namesOf(lostAgents(killed, NOW_MS)), ['k19']);
  });

  it('are pruned after a day, and before that if there are more than a hundred', () => {
    const day = DAY / MINUTE;
    const records = [agent('now', 2 * day), agent('old', 3 * day, day + 1), agent('young', 3 * day, day - 1)];
    assert.deepEqual(namesOf(prunableAgents(records, NOW_MS)), ['old']);
    const many = Array.from({ length: 103 }, (_, index) => agent(`a${index}`, 300, 2 + index));
    assert.deepEqual(namesOf(prunableAgents(many, NOW_MS)), ['a100', 'a101', 'a102']);
  });
});
