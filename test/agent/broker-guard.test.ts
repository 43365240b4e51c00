import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { createBrokerGuard } from '../../src/agent/broker-guard.ts';
import { createLifecycle } from '../../src/agent/lifecycle.ts';
import { AgentError } from '../../src/util/agent-errors.ts';
import { createLog } from '../../src/util/log.ts';
import { createManualClock } from '../support/manual-clock.ts';
import { partial } from '../support/partial.ts';
import { createTestLog, linesWith } from '../support/test-log.ts';

type Context = Parameters<typeof createBrokerGuard>[0];
type Guarded = Parameters<typeof createBrokerGuard>[1];

const settle = async (): Promise<void> => await new Promise((resolve) => setImmediate(resolve));

function makeScene() {
  const clock = createManualClock();
  const { lines, write } = createTestLog();
  const log = createLog({ logLevel: 'trace', id: 'pulse-agent' }, { write });
  const declarations: { readonly resolve: () => void; readonly reject: (error: Error) => void }[] = [];
  const topology = partial<Guarded['topology']>({
    onReconnect: () => () => undefined,
    declareAgain: () => new Promise((resolve, reject) => void declarations.push({ resolve, reject })),
  });
  const lifecycle = createLifecycle({ log, clock });
  const context: Context = {
    clock,
    log,
    lifecycle,
    randomBytes,
    config: partial({}),
    names: partial({}),
    store: partial({}),
    management: partial({}),
    reporters: partial({}),
    jobs: partial({}),
  };
  const guard = createBrokerGuard(context, { topology, queues: partial({}), limits: partial({}) });
  return { clock, guard, declarations, redeclared: () => linesWith(lines, 'request_queue_redeclared').length };
}

describe('a request queue that is missing', () => {
  it('is declared once, however often its loss is reported, and again when it is lost again', async () => {
    const { clock, guard, declarations, redeclared } = makeScene();
    guard.redeclareSoon();
    guard.redeclareSoon();
    declarations[0]?.resolve();
    await settle();
    guard.redeclareSoon();
    await settle();
    assert.equal(declarations.length, 1);
    assert.equal(redeclared(), 1);
    clock.advance(1_000);
    guard.redeclareSoon();
    assert.equal(declarations.length, 2);
  });

  it('is declared at the next report when RabbitMQ did not answer', async () => {
    const { guard, declarations, redeclared } = makeScene();
    guard.redeclareSoon();
    declarations[0]?.reject(new AgentError('BrokerUnavailable', 'no answer'));
    await settle();
    guard.redeclareSoon();
    assert.equal(declarations.length, 2);
    assert.equal(redeclared(), 0);
  });
});
