import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { systemClock } from '../../src/util/clock.ts';
import { newNotice } from '../../src/notices/decide-notice.ts';
import type { Notice } from '../../src/store/notice-records.ts';
import { openStore } from '../../src/store/open-store.ts';
import type { Store } from '../../src/store/store.ts';
import { type AgentProcess, startAgentProcess } from '../support/agent-process.ts';
import { makeInstallation, type TestInstallation } from '../support/agent.ts';
import { useSharedBroker } from '../support/broker.ts';
import { addCleanup } from '../support/cleanup.ts';
import { unique } from '../support/folders.ts';
import { mongoDatabase, useSharedMongoDB } from '../support/mongodb.ts';
import type { Moment } from '../support/step-observer.ts';

/** Four crashes, each with a restart, on a busy machine. */
const CRASHES_MS = 240_000;

const CLIENT = { clientId: 'pulse-agent', accessToken: randomBytes(20).toString('hex'), scopes: ['notify:email:*'] };

/** The first write starts the attempt, the second one settles it; the mail is sent in between. */
const DEATHS: readonly { readonly step: string; readonly moment: Moment }[] = [
  { step: 'notices.replace', moment: 'before' },
  { step: 'notices.replace', moment: 'after' },
  { step: 'notices.replace 2', moment: 'before' },
  { step: 'notices.replace 2', moment: 'after' },
];

describe('an agent that is killed while it sends a notice', () => {
  useSharedBroker();
  const mongodb = useSharedMongoDB();

  it('loses none and sends none twice, at whichever step it dies', async function () {
    this.timeout(CRASHES_MS);
    const url = mongoDatabase(mongodb());
    const installation = await makeInstallation({
      environment: {
        STORE_URL: url,
        TASKCLUSTER_CLIENT_ID: CLIENT.clientId,
        TASKCLUSTER_ACCESS_TOKEN: CLIENT.accessToken,
      },
    });
    installation.taskcluster.setClient(CLIENT);
    const store = await openStore(url, { clock: systemClock, randomBytes });
    addCleanup(() => store.close());
    let agent = await startAgentProcess(installation.environment);
    for (const death of DEATHS) agent = await dieAndRecover(installation, store, agent, death);
    await agent.stop();
    assert.equal(installation.taskcluster.mails.length, DEATHS.length);
  });
});

async function dieAndRecover(
  installation: TestInstallation,
  store: Store,
  agent: AgentProcess,
  { step, moment }: (typeof DEATHS)[number],
): Promise<AgentProcess> {
  await agent.arm(step, moment, 'SIGKILL');
  const { id } = await store.notices.add(deletionNotice());
  await agent.signalled('SIGKILL');
  const next = await startAgentProcess(installation.environment);
  try {
    await expireLease(store, id);
    const { state } = await untilSettled(next, store, id);
    assert.equal(state, 'sent');
    const mails = installation.taskcluster.mails.filter(({ content }) => content.includes(id));
    assert.equal(mails.length, 1);
  } catch (error) {
    throw new Error(
      `An agent died ${moment} ${step}: ${(error as Error).message}\nThe end of the log:\n${next.log()}`,
      { cause: error },
    );
  }
  return next;
}

/** A notice whose namespace was deleted, so that the test needs no claim. */
function deletionNotice(): Notice {
  return newNotice({
    id: unique('notice'),
    kind: 'queue-deletion',
    namespace: 'taskcluster-deleted',
    incarnation: 'bGlmZQ',
    queue: 'queue/taskcluster-deleted/jobs',
    contact: 'owner@example.org',
    messages: 9000,
    warnAtMessages: 4000,
    deleteAtMessages: 8000,
    seenMs: Date.now(),
  });
}

/** Lets the lease of a started attempt expire. */
async function expireLease(store: Store, id: string): Promise<void> {
  const notice = await store.notices.get(id);
  if (notice?.state !== 'waiting' || !notice.inProgress) return;
  const rewound = { ...notice, revision: notice.revision + 1, nextAttemptMs: Date.now() };
  assert.ok(await store.notices.replace(rewound, notice.revision));
}

async function untilSettled(agent: AgentProcess, store: Store, id: string): Promise<Notice> {
  return await agent.until(async () => {
    const notice = await store.notices.get(id);
    return typeof notice?.settledMs === 'number' ? notice : undefined;
  }, 30_000);
}
