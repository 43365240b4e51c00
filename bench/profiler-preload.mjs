// Loaded into a measured agent with `node --import`. At SIGUSR2 it starts to profile, at the next one it writes what it
// found into the file BENCH_PROFILE_FILE. BENCH_PROFILE says what: `cpu`, or `heap` for the bytes that were allocated.
import { writeFileSync } from 'node:fs';
import { Session } from 'node:inspector/promises';
import { PerformanceObserver } from 'node:perf_hooks';

const file = process.env['BENCH_PROFILE_FILE'];
const isCpu = process.env['BENCH_PROFILE'] === 'cpu';
const session = new Session();
session.connect();
let isRunning = false;
const garbage = { count: 0, ms: 0 };
new PerformanceObserver((list) => {
  for (const { duration } of list.getEntries()) {
    garbage.count += 1;
    garbage.ms += duration;
  }
}).observe({ entryTypes: ['gc'] });

process.on('SIGUSR2', () => void toggle());

async function toggle() {
  if (isRunning) {
    isRunning = false;
    const { profile } = await session.post(isCpu ? 'Profiler.stop' : 'HeapProfiler.stopSampling');
    writeFileSync(file, JSON.stringify({ profile, garbage }));
    return;
  }
  isRunning = true;
  Object.assign(garbage, { count: 0, ms: 0 });
  if (isCpu) {
    await session.post('Profiler.enable');
    await session.post('Profiler.setSamplingInterval', { interval: 1000 });
    await session.post('Profiler.start');
  } else {
    await session.post('HeapProfiler.startSampling', {
      samplingInterval: 4096,
      includeObjectsCollectedByMajorGC: true,
      includeObjectsCollectedByMinorGC: true,
    });
  }
}
