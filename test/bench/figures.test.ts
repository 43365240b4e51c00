import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { countsOf, jobSecondsOf, lastSuccessMsOf } from '../../bench/agent-metrics.ts';
import { documentTables, figuresText } from '../../bench/figures-document.ts';
import { fixedRows } from '../../bench/goals.ts';
import { cpuMsIn } from '../../bench/job-windows.ts';
import { median, medians, percentile, rateOfParts } from '../../bench/limits.ts';
import { load, withWarmUp } from '../../bench/load.ts';
import { cpuMsOf, residentOf } from '../../bench/process-figures.ts';
import { nodeOptionsOf } from '../../bench/start-script.ts';
import { AGAINST_PREDECESSOR, goals, type Row, toTable, verdict } from '../../bench/table.ts';

describe('the figures of the bench', () => {
  it('add up the times of parts to the rate of their sum', () => {
    assert.equal(rateOfParts(100), 100);
    assert.equal(rateOfParts(100, 100), 50);
    assert.equal(Math.round(rateOfParts(4000, 16_000, 400)), 356);
  });

  it('are medians and percentiles', () => {
    assert.equal(median([3, 1, 2]), 2);
    assert.ok(Number.isNaN(median([])));
    const sorted = Array.from({ length: 100 }, (_, index) => index + 1);
    assert.equal(percentile(sorted, 0.5), 50);
    assert.equal(percentile(sorted, 0.99), 99);
    assert.equal(percentile([7], 0.5), 7);
    assert.deepEqual(
      medians([
        [10, 10],
        [10, 20],
        [5, 15],
      ]),
      { rawMs: 10, oursMs: 15, ratio: 2 },
    );
  });

  it('read the CPU time of all threads from /proc, whatever the program is called', () => {
    const line = '42 (a) b (c) S 1 42 42 0 -1 4194560 9 0 0 0 1234 66 0 0 20 0 11 0 500 1 2';
    assert.equal(cpuMsOf(line), 13_000);
    assert.throws(() => cpuMsOf('42 (node) S'), RangeError);
    const before = cpuMsOf(readFileSync('/proc/self/stat', 'utf8'));
    assert.ok(before > 0 && before <= process.uptime() * 1000 * 64);
  });

  it('tell the memory of a process from the mapped pages of its store', () => {
    const smaps = [
      '00400000-00500000 r-xp 00000000 fe:00 1 /usr/bin/node',
      'Rss:                1000 kB',
      '7f0000000000-7f0000100000 r--s 00000000 fe:00 2 /x/the-store/store.mdb',
      'Size:               9999 kB',
      'Rss:                 500 kB',
      '7f1000000000-7f1000100000 rw-p 00000000 00:00 0 ',
      'Rss:                2000 kB',
    ].join('\n');
    assert.deepEqual(residentOf(smaps, 'the-store'), { ownMb: 3.072, storeMb: 0.512 });
  });

  it('count what an agent reports of its jobs and calls', () => {
    const metrics = [
      'pulse_agent_job_duration_seconds_sum{job_name="rotate-namespaces",outcome="done"} 1.5',
      'pulse_agent_job_duration_seconds_sum{job_name="rotate-namespaces",outcome="failed"} 0.25',
      'pulse_agent_job_duration_seconds_sum{job_name="prune",outcome="done"} 9',
      'pulse_agent_job_last_success_timestamp_seconds{job_name="prune"} 1.7e9',
      'pulse_agent_management_duration_seconds_count{operation="putUser",outcome="ok"} 7',
      'pulse_agent_auth_duration_seconds_count{outcome="auth-success"} 3',
      'pulse_agent_auth_duration_seconds_sum{outcome="auth-success"} 0.3',
    ].join('\n');
    assert.equal(jobSecondsOf(metrics, 'rotate-namespaces'), 1.75);
    assert.equal(jobSecondsOf(metrics, 'survey-queues'), 0);
    assert.equal(lastSuccessMsOf(metrics, 'prune'), 1.7e12);
    assert.equal(lastSuccessMsOf(metrics, 'rotate-namespaces'), undefined);
    assert.deepEqual(countsOf(metrics), { 'management putUser ok': 7, 'auth auth-success': 3 });
  });

  it('give a run of a job the CPU time between the samples around it', () => {
    const samples = [0, 100, 200, 300].map((atMs, index) => ({ atMs, cpuMs: [5, 10, 30, 31][index] ?? 0 }));
    assert.equal(cpuMsIn(samples, { fromMs: 110, toMs: 190 }), 20);
    assert.equal(cpuMsIn(samples, { fromMs: -50, toMs: 100 }), 5);
    assert.equal(cpuMsIn(samples, { fromMs: 150, toMs: 900 }), 21);
  });

  it('count the operations after the warm-up, and the CPU time of these alone', async () => {
    let cpuMs = 0;
    const indexes: number[] = [];
    const result = await load(
      { count: 10, concurrency: 3 },
      async (index) => {
        indexes.push(index);
        cpuMs += 5;
      },
      () => cpuMs,
    );
    assert.deepEqual(
      indexes,
      Array.from({ length: withWarmUp(10) }, (_, index) => index),
    );
    assert.equal(result.cpuMs, 5);
    assert.ok(result.perSecond > 0 && result.p50Ms <= result.p99Ms);
  });

  it('come from an agent with the options of npm start', () => {
    const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: { start: string } };
    const options = nodeOptionsOf(scripts.start);
    assert.ok(scripts.start.endsWith(['node', ...options, 'dist/cli/main.js serve'].join(' ')), scripts.start);
    assert.deepEqual(nodeOptionsOf('exec node --one=1 --two dist/cli/main.js serve'), ['--one=1', '--two']);
    assert.throws(() => nodeOptionsOf('tsx src/cli/main.ts serve'), RangeError);
  });

  it('are held against their goals', () => {
    const row: Row = { what: 'claims', measured: '5/s', limit: '10/s', ratio: 0.5 };
    assert.equal(verdict(row), '');
    assert.equal(verdict({ ...row, atLeast: 0.5 }), 'met');
    assert.equal(verdict({ ...row, atMost: 0.4 }), 'missed');
    const rows = [{ ...row, atLeast: 0.5 }, { ...row, what: 're-claims', atMost: 0.4 }, row];
    assert.equal(goals(rows), '1 of 2 goals met.\nMissed: re-claims');
    assert.match(toTable(rows), /^\| claims \| 5\/s \| 10\/s \| 0\.50 \| ≥ 0\.5 \| met \|$/m);
  });

  it('are held against fixed goals as well, as far as they were measured', () => {
    const row: Row = { what: 're-claims, 32 in flight', measured: '', limit: '', figures: { cpuMs: 0.9, p50Ms: 9 } };
    const [only, ...more] = fixedRows([row, { ...row, what: 're-claims, 8 in flight' }]);
    assert.deepEqual(more, []);
    assert.deepEqual([only?.what, only?.measured, only?.limit], ['CPU of a re-claim', '0.90 ms', '0.45 ms']);
    assert.equal(verdict(only ?? row), 'missed');
  });

  it('go into the document with their machine, versions and verdicts', () => {
    const rows: Row[] = [{ what: 'claims', measured: '5/s', limit: '10/s', ratio: 0.5, atLeast: 0.5 }];
    const conditions = { machine: '2 × Z80', node: 'Node v20', rabbitmq: 'RabbitMQ 3.10.8', agent: 'agent abc' };
    const text = figuresText({ ...conditions, measuredAt: '2026-11-30T10:00:00.000Z', minutes: 9.96, rows });
    for (const one of Object.values(conditions)) assert.ok(text.includes(one), one);
    assert.match(text, /^- agent abc, 2026-11-30, 10\.0 minutes$/m);
    assert.match(text, /^\| claims \| 5\/s .* met \|$/m);
    assert.match(text, /^1 of 1 goals met\.$/m);
    const results = { ...conditions, measuredAt: '2026-11-30T10:00:00.000Z', minutes: 9, rows };
    assert.deepEqual(Object.keys(documentTables(results)), ['figures']);
    const against = rows.map((row) => ({ ...row, what: `${row.what}${AGAINST_PREDECESSOR}` }));
    assert.deepEqual(Object.keys(documentTables({ ...results, rows: against })), ['predecessor']);
  });
});
