import assert from 'node:assert/strict';
import { decideInstallSteps } from '../../dev/rabbitmq-install.ts';

const bare = { system: false, unpacked: false, root: false, apt: false };

describe('how to get RabbitMQ', () => {
  it('uses the installed one, whatever else is there', () => {
    assert.deepEqual(decideInstallSteps({ system: true, unpacked: true, root: true, apt: true }), ['use-system']);
  });

  it('uses an unpacked one rather than installing, even as root', () => {
    assert.deepEqual(decideInstallSteps({ ...bare, unpacked: true, root: true, apt: true }), ['use-unpacked']);
  });

  it('installs as root, and unpacks where the installation fails', () => {
    assert.deepEqual(decideInstallSteps({ ...bare, root: true, apt: true }), ['apt-install', 'apt-unpack']);
  });

  it('unpacks as an ordinary user', () => {
    assert.deepEqual(decideInstallSteps({ ...bare, apt: true }), ['apt-unpack']);
  });

  it('leaves it to a person where there is no apt', () => {
    assert.deepEqual(decideInstallSteps(bare), []);
    assert.deepEqual(decideInstallSteps({ ...bare, root: true }), []);
  });
});
