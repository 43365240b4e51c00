import assert from 'node:assert/strict';
import { decideInstallSteps } from '../../dev/rabbitmq-install.ts';

const bare = { system: false, unpacked: false, root: false, apt: false };

describe('how to get RabbitMQ', () => {
  it('uses the installed one first', () => {
    assert.deepEqual(decideInstallSteps({ system: true, unpacked: true, root: true, apt: true }), ['use-system']);
  });

  it('uses an unpacked one before it installs, even as root', () => {
    assert.deepEqual(decideInstallSteps({ ...bare, unpacked: true, root: true, apt: true }), ['use-unpacked']);
  });

  it('installs as root, and unpacks where the installation fails', () => {
    assert.deepEqual(decideInstallSteps({ ...bare, root: true, apt: true }), ['apt-install', 'apt-unpack']);
  });

  it('unpacks as an unprivileged user', () => {
    assert.deepEqual(decideInstallSteps({ ...bare, apt: true }), ['apt-unpack']);
  });

  it('knows no way without apt', () => {
    assert.deepEqual(decideInstallSteps(bare), []);
    assert.deepEqual(decideInstallSteps({ ...bare, root: true }), []);
  });
});
