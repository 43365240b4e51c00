import assert from 'node:assert/strict';
import { createJobQueue } from '../../src/jobs/job-queue.ts';
import type { Jobs } from '../../src/jobs/jobs.ts';

function createScheduler() {
  const requests: Parameters<Jobs['trigger']>[] = [];
  const scheduler: Jobs = { trigger: (...request) => void requests.push(request) };
  return { scheduler, requests };
}

describe('the job queue', () => {
  it('keeps requests until a scheduler is attached, each once and in order, and passes later ones on', () => {
    const jobs = createJobQueue();
    const { scheduler, requests } = createScheduler();
    jobs.trigger('repair-account', 'a');
    jobs.trigger('finish-revocation', 'a', 500);
    jobs.trigger('repair-account', 'a');
    jobs.attach(scheduler);
    jobs.trigger('repair-account', 'a');
    assert.deepEqual(requests, [
      ['repair-account', 'a'],
      ['finish-revocation', 'a', 500],
      ['repair-account', 'a'],
    ]);
  });

  it('keeps at most 1,000 requests', () => {
    const jobs = createJobQueue();
    const { scheduler, requests } = createScheduler();
    for (let count = 0; count < 2000; count += 1) jobs.trigger('repair-account', `namespace-${count}`);
    jobs.attach(scheduler);
    assert.equal(requests.length, 1000);
    assert.deepEqual(requests.at(-1), ['repair-account', 'namespace-999']);
  });
});
