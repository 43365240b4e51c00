import assert from 'node:assert/strict';
import { auditableSettings } from '../../src/audit/configuration-audit.ts';
import { loadConfig } from '../../src/config/config.ts';
import { makeFolder } from '../support/folders.ts';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

describe('the configuration in the audit', () => {
  it('has names and numbers and no secret, also for a store with several hosts', () => {
    const file = join(makeFolder('settings'), 'settings.yml');
    writeFileSync(file, JSON.stringify({ exemptQueues: ['queue/taskcluster-x/.*'] }));
    const settings = auditableSettings(
      loadConfig({
        PULSE_AGENT_CONFIG: file,
        RABBITMQ_URL: 'amqp://agent:hidden-1@rabbit:5672',
        TASKCLUSTER_ROOT_URL: 'https://tc.example.com',
        STORE_URL: 'mongodb://agent:hidden-2@one:27017,two:27017/pulse?replicaSet=rs0',
        PULSE_AGENT_SECRET: 'hidden-3-hidden-3-hidden-3-hidden-3',
        PULSE_AGENT_CLAIMANT_PASSWORD: 'hidden-4-hidden-4',
      }),
    );
    assert.equal(settings['store'], 'mongodb');
    assert.equal(settings['broker'], 'rabbit:5672');
    assert.equal(settings['exemptQueues'], '["queue/taskcluster-x/.*"]');
    assert.equal(settings['claimant'], true);
    assert.doesNotMatch(JSON.stringify(settings), /hidden/);
  });
});
