import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { loadConfig } from '../../src/config/config.ts';
import { makeCertificates } from '../support/certificates.ts';
import { faultsOf, GOOD_ENV } from '../support/config-files.ts';

// Not in config.test.ts: openssl makes the certificates, and a test that starts a process is not in the fast loop.
describe('RABBITMQ_CA', () => {
  it('accepts one or several certificates in PEM, and no key', () => {
    const { ca, caFile, keyFile } = makeCertificates();
    assert.equal(loadConfig({ ...GOOD_ENV, RABBITMQ_CA: ca }).rabbitmqCa, ca);
    assert.equal(loadConfig({ ...GOOD_ENV, RABBITMQ_CA_FILE: caFile }).rabbitmqCa, ca.trimEnd());
    assert.equal(loadConfig({ ...GOOD_ENV, RABBITMQ_CA: ca + ca }).rabbitmqCa, ca + ca);
    const broken = ca.replace(/\n.{10}/, '\n');
    for (const value of [keyFile, caFile, `${ca}${readFileSync(keyFile, 'utf8')}`, `${ca}${broken}`]) {
      assert.deepEqual(
        faultsOf(() => loadConfig({ ...GOOD_ENV, RABBITMQ_CA: value })),
        ['The setting rabbitmqCa must be certificates in PEM.'],
      );
    }
  });
});
