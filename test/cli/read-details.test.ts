import assert from 'node:assert/strict';
import { AuthenticationFailed, ResourceNotFound, Unavailable } from '../../src/client/client-errors.ts';
import type { Namespace, PulseAgentClient, ReadOptions } from '../../src/client/client.ts';
import { readNamespacesFor } from '../../src/cli/read-details.ts';
import { partial } from '../support/partial.ts';

const { signal } = new AbortController();
const client = partial<PulseAgentClient>({});
const OPEN: Namespace = {
  namespace: 'taskcluster-x',
  created: '2026-11-24T12:00:00.000Z',
  expires: '2026-11-24T16:00:00.000Z',
  state: 'active',
};
const DETAILED: Namespace = { ...OPEN, details: { holder: 'project/x' } };

/** Reads from an agent that gives these answers to a signed and to an unsigned request. */
async function read(
  signer: string | undefined,
  signed: Namespace[] | Error,
  { unsigned = [OPEN], areDetailsNeeded }: { unsigned?: Namespace[] | Error; areDetailsNeeded?: boolean } = {},
) {
  const asked: (boolean | undefined)[] = [];
  const answer = async (_client: PulseAgentClient, { details }: ReadOptions): Promise<Namespace[]> => {
    asked.push(details);
    const its = details === true ? signed : unsigned;
    if (its instanceof Error) throw its;
    return its;
  };
  return { ...(await readNamespacesFor(client, signer, signal, answer, areDetailsNeeded)), asked };
}

describe('reading namespaces with their details', () => {
  it('is signed where there is a signer', async () => {
    const { namespaces, isSigned, missing, asked } = await read('a-client', [DETAILED]);
    assert.deepEqual([namespaces, isSigned, missing, asked], [[DETAILED], true, undefined, [true]]);
  });

  it('is not signed without one, and says what would show more', async () => {
    const { namespaces, isSigned, missing, asked } = await read(undefined, [DETAILED]);
    assert.deepEqual([namespaces, isSigned, asked], [[OPEN], false, [undefined]]);
    assert.match(missing ?? '', /TASKCLUSTER_CLIENT_ID.*pulse:describe/);
  });

  it('says why there are none: the scope, or an older agent', async () => {
    const { isSigned, missing } = await read('a-client', [OPEN]);
    assert.equal(isSigned, true);
    assert.match(missing ?? '', /a-client lacks the scope pulse:describe:.*earlier version/);
    assert.equal((await read('a-client', [])).missing, undefined, 'nothing to describe');
    assert.equal((await read('a-client', [OPEN, DETAILED])).missing, undefined, 'some are its own');
  });

  it('shows what is public where the signature cannot be checked', async () => {
    const failures = [
      new AuthenticationFailed('AuthenticationFailed', 'Taskcluster rejected the signature.'),
      new Unavailable('Unavailable', 'Taskcluster does not answer.'),
    ];
    for (const failure of failures) {
      const { namespaces, isSigned, missing, asked } = await read('a-client', failure);
      assert.deepEqual([namespaces, isSigned, asked], [[OPEN], false, [true, undefined]]);
      assert.ok(missing?.endsWith(failure.message), missing);
    }
  });

  it('fails where the signature cannot be checked, and what is public would not do', async () => {
    const gone = new Unavailable('Unavailable', 'Taskcluster does not answer.');
    await assert.rejects(read('a-client', gone, { areDetailsNeeded: true }), gone);
    assert.equal((await read(undefined, gone, { areDetailsNeeded: true })).isSigned, false, 'there is no signer');
  });

  it('fails where the unsigned request fails, too, and for any other reason', async () => {
    const gone = new Unavailable('Unavailable', 'No agent answered.');
    await assert.rejects(read('a-client', gone, { unsigned: gone }), gone);
    const absent = new ResourceNotFound('ResourceNotFound', 'There is no namespace.');
    await assert.rejects(read('a-client', absent), absent);
  });
});
