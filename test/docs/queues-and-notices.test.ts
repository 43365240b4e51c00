import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadConfig } from '../../src/config/config.ts';
import { limitsOfQueue } from '../../src/queues/queue-limits.ts';
import { useBlocks } from './blocks.ts';

describe('docs/queues-and-notices.md', () => {
  const blocks = useBlocks('docs/queues-and-notices.md');
  let folder: string;

  before(() => (folder = mkdtempSync(join(tmpdir(), 'queue-rules-'))));
  after(() => rmSync(folder, { recursive: true }));

  it('has rules that an agent takes, and the first that matches holds', () => {
    const file = join(folder, 'settings.yml');
    writeFileSync(file, blocks.take('ownersMayRaiseTo').text);
    const config = loadConfig({
      RABBITMQ_URL: 'amqp://localhost',
      TASKCLUSTER_ROOT_URL: 'http://localhost',
      PULSE_AGENT_SECRET: 'x'.repeat(32),
      PULSE_AGENT_CONFIG: file,
    });
    const deleteAt = (queue: string): number => limitsOfQueue(config, queue).deleteAtMessages;
    assert.equal(deleteAt('queue/taskcluster-builds/logs/today'), 200_000);
    assert.equal(deleteAt('queue/taskcluster-builds/tasks'), 40_000);
    assert.equal(deleteAt('queue/taskcluster-other/tasks'), config.deleteAtMessages);
  });
});
