import assert from 'node:assert/strict';
import { UsageFault } from '../../src/cli/define-command.ts';
import { readQueueLimits } from '../../src/cli/read-queue-limits.ts';

describe('the option --queue-limits', () => {
  it('has limits with commas between, or none', () => {
    assert.deepEqual(readQueueLimits('deleteAtMessages=40000'), { deleteAtMessages: 40_000 });
    assert.deepEqual(readQueueLimits('warnAtBytes=1, deleteAtBytes=2'), { warnAtBytes: 1, deleteAtBytes: 2 });
    assert.equal(readQueueLimits('none'), null);
  });

  it('is refused with one sentence otherwise', () => {
    for (const text of ['', '40000', 'deleteAtMessages', 'deleteAtMessages=0', 'deleteAtMessages=1.5', 'colour=3']) {
      assert.throws(() => readQueueLimits(text), UsageFault, text);
    }
    assert.throws(() => readQueueLimits('warnAtBytes=1,warnAtBytes=2'), /must be none, or limits such as/);
  });
});
