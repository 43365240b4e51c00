import assert from 'node:assert/strict';
import * as z from 'zod';
import { type ApiEndpoint, ENDPOINT_FORMS, readEndpoint } from '../../src/operator-api/endpoint.ts';

const { signal } = new AbortController();

function endpoint(read: ApiEndpoint['read']): ApiEndpoint {
  return { ...ENDPOINT_FORMS.queueHistory, answer: z.strictObject({ queue: z.string() }), read };
}

describe('an endpoint of the operators', () => {
  it('reads with the parameters that its schema has parsed', async () => {
    const result = await readEndpoint(
      endpoint(async ({ queue }: { queue: string }) => ({ queue })),
      { queue: 'queue/a/b' },
      signal,
    );
    assert.deepEqual(result, { is: 'answer', body: { queue: 'queue/a/b' } });
  });

  it('names the parameter that is not valid, or that is unknown', async () => {
    const read = endpoint(async () => assert.fail('not read'));
    assert.deepEqual(await readEndpoint(read, {}, signal), {
      is: 'invalid',
      problem: 'The parameter queue is not valid: must be given.',
    });
    assert.deepEqual(await readEndpoint(read, { queue: 'q', colour: 'red' }, signal), {
      is: 'invalid',
      problem: 'There is no parameter colour.',
    });
    const plan = { ...ENDPOINT_FORMS.plan, read: async () => assert.fail('not read') };
    assert.deepEqual(await readEndpoint(plan, { hours: '9999' }, signal), {
      is: 'invalid',
      problem: 'The parameter hours is not valid: must be a whole number from 1 to 168.',
    });
    const audit = { ...ENDPOINT_FORMS.audit, read: async () => assert.fail('not read') };
    for (const [name, rule] of [
      ['after', 'must be the `next` of a page'],
      ['who', 'must have 1 to 300 characters'],
    ] as const) {
      const value = name === 'who' ? 'x'.repeat(301) : 'garbage';
      assert.deepEqual(await readEndpoint(audit, { [name]: value }, signal), {
        is: 'invalid',
        problem: `The parameter ${name} is not valid: ${rule}.`,
      });
    }
  });

  it('says that there is no such thing', async () => {
    assert.deepEqual(
      await readEndpoint(
        endpoint(async () => undefined),
        { queue: 'q' },
        signal,
      ),
      { is: 'missing' },
    );
  });

  it('lets nothing out that its schema has no place for', async () => {
    await assert.rejects(
      readEndpoint(
        endpoint(async () => ({ queue: 'q', contact: 'team@example.com' })),
        { queue: 'q' },
        signal,
      ),
      z.ZodError,
    );
  });
});
