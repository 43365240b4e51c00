import assert from 'node:assert/strict';
import { BrokerRefused } from '../../src/client/client-errors.ts';
import { WireError } from '../../src/contract/wire-errors.ts';
import { AgentError } from '../../src/util/agent-errors.ts';
import { checkEach } from '../../src/verify/check-each.ts';
import { ok, type StepResult, warning } from '../../src/verify/step.ts';

describe('the check of several addresses', () => {
  const at = (shown: string, result: StepResult | Error) => ({
    shown,
    check: async () => {
      if (result instanceof Error) throw result;
      return result;
    },
  });
  const gone = new AgentError('BrokerUnavailable', 'It cannot be reached. Check it.');
  const refused = new BrokerRefused('Its certificate is not trusted. Set RABBITMQ_CA.');

  it('is the check of a single one', async () => {
    assert.deepEqual(await checkEach([at('a', ok('works'))]), ok('works'));
    await assert.rejects(checkEach([at('a', gone)]), gone);
  });

  it('names each one', async () => {
    assert.deepEqual(await checkEach([at('a', ok('works')), at('b', ok('works'))]), ok('a: works; b: works'));
    const result = await checkEach([at('a', ok('works')), at('b', warning('is old', 'Renew it.'))]);
    assert.deepEqual(result, warning('a: works; b: is old', 'Renew it.'));
  });

  it('warns of one that cannot be reached while another works', async () => {
    const result = await checkEach([at('a', gone), at('b', ok('works'))]);
    assert.deepEqual(result, warning('a: BrokerUnavailable; b: works', 'It cannot be reached. Check it.'));
    const lost = new WireError('Unavailable', 'RabbitMQ cannot be reached.');
    assert.equal((await checkEach([at('a', ok('works')), at('b', lost)])).outcome, 'warning');
  });

  it('fails where one is refused, or none can be reached', async () => {
    const { outcome, said, remedy } = await checkEach([at('a', ok('works')), at('b', refused)]);
    assert.deepEqual([outcome, said], ['failed', 'a: works; b: BrokerRefused']);
    assert.match(remedy ?? '', /RABBITMQ_CA/);
    assert.equal((await checkEach([at('a', gone), at('b', gone)])).outcome, 'failed');
  });
});
