import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { createKeyring } from '../../src/namespaces/accounts/keyring.ts';
import { Secret } from '../../src/util/secret.ts';
import { runCommandLine } from '../support/command-line.ts';

describe('secret-id', function () {
  this.timeout(60_000);
  const secret = randomBytes(33).toString('base64');
  const { currentSecretId } = createKeyring(new Secret(secret), []);

  it('prints the id of the secret on standard input, as agents name it', async () => {
    for (const input of [secret, `${secret}\n`]) {
      const run = await runCommandLine(['secret-id'], {}, input);
      assert.equal(await run.exited, 0, run.stderr());
      assert.equal(run.stdout(), `${currentSecretId}\n`);
    }
    const json = await runCommandLine(['secret-id', '--json'], {}, secret);
    assert.equal(await json.exited, 0, json.stderr());
    assert.deepEqual(JSON.parse(json.stdout()), { secretId: currentSecretId });
  });

  it('takes no secret from its arguments, and prints none', async () => {
    for (const [args, input] of [
      [['secret-id', secret], secret],
      [['secret-id'], secret.slice(0, 31)],
      [['secret-id'], ''],
    ] as const) {
      const run = await runCommandLine(args, {}, input);
      assert.equal(await run.exited, 2);
      assert.equal(run.stdout(), '');
      assert.ok(!run.stderr().includes(secret.slice(0, 10)), run.stderr());
      assert.match(run.stderr(), /^pulse-agent: [A-Z][^\n]*\.\n$/);
    }
  });
});
