import assert from 'node:assert/strict';
import { namespaceOfQueue } from '../../src/queues/queue-names.ts';

describe('the namespace of a queue', () => {
  it('is read from names of the form queue/<namespace>/…', () => {
    for (const [queue, namespace] of [
      ['queue/taskcluster-x/jobs', 'taskcluster-x'],
      ['queue/taskcluster-x/', 'taskcluster-x'],
      ['queue/taskcluster-x/a/b', 'taskcluster-x'],
      ['queue/taskcluster-x', undefined],
      ['queue/pulse-agent/v1/requests', undefined],
      ['queue/taskcluster-x y/jobs', undefined],
      [`queue/taskcluster-${'x'.repeat(60)}/jobs`, undefined],
      ['exchange/taskcluster-x/jobs', undefined],
      ['x/queue/taskcluster-x/jobs', undefined],
      ['taskcluster-x/jobs', undefined],
      ['', undefined],
    ] as const) {
      assert.equal(namespaceOfQueue('taskcluster-', queue), namespace, queue);
    }
  });
});
