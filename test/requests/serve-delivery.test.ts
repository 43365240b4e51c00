import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { WireError } from '../../src/contract/wire-errors.ts';
import { errorReply, resultReply } from '../../src/contract/reply.ts';
import { AgentError } from '../../src/util/agent-errors.ts';
import { createLog } from '../../src/util/log.ts';
import type { Answer, AnsweredRequest } from '../../src/requests/answer.ts';
import type { Acknowledgement } from '../../src/requests/consumer.ts';
import type { OutgoingMessage, ReplyOutcome } from '../../src/requests/outgoing.ts';
import { isProbe } from '../../src/requests/request-probe.ts';
import { createServeDelivery } from '../../src/requests/serve-delivery.ts';
import { DIRECT_ADDRESS, type DeliveryInput, deliveryOf } from '../support/deliveries.ts';
import { createManualClock } from '../support/manual-clock.ts';

const NODE = { hash: 1, sinceMs: 0 };

const direct: Answer = {
  kind: 'reply',
  address: DIRECT_ADDRESS,
  node: NODE,
  reply: resultReply('c-1', '{}'),
};

/** Serves one delivery with a given answer and an outbox with these outcomes, in order. */
async function serve(
  given: Answer | Error | ((signal: AbortSignal) => Promise<Answer>),
  outcomes: (ReplyOutcome | Error)[],
  input: DeliveryInput = {},
  deadlineMs = 10_000,
  { others = false, cause }: { others?: boolean; cause?: unknown } = {},
) {
  const sent: OutgoingMessage[] = [];
  const lines: string[] = [];
  const counted: string[][] = [];
  const replied: boolean[] = [];
  const answered: Omit<AnsweredRequest, 'answer'> = {
    method: input.routingKey ?? 'ping',
    namespace: 'taskcluster-x',
    clientId: 'project/x',
    outcome: 'result',
    cause,
    afterReply: [],
  };
  const serveOne = createServeDelivery({
    answer: async (_delivery, { signal }) => {
      if (given instanceof Error) throw given;
      return { ...answered, answer: typeof given === 'function' ? await given(signal) : given };
    },
    outbox: {
      async send(message) {
        sent.push(message);
        const outcome = outcomes[sent.length - 1];
        if (outcome instanceof Error) throw outcome;
        return outcome ?? assert.fail('nothing more may be sent');
      },
    },
    deadExchange: 'rpc/pulse-agent/v1/dead',
    isProbe: (delivery) => isProbe(delivery, 'agent'),
    clock: createManualClock(),
    log: createLog({ id: 'pulse-agent', logLevel: 'info' }, { write: (line) => void lines.push(line) }),
    onServed(method, outcome, _durationMs, isReplied) {
      counted.push([method, outcome]);
      replied.push(isReplied);
    },
    deadlineMs,
    hasOthers: async () => others,
  });
  const verdict: Acknowledgement = await serveOne(deliveryOf(input));
  return { verdict, sent, counted, replied, text: lines.join(''), lines };
}

const stopping = new AgentError('Stopping', 'The agent is stopping.');

describe('serve', () => {
  it('sends the reply and acknowledges when the broker has confirmed it', async () => {
    const { verdict, sent } = await serve(direct, ['confirmed']);
    assert.equal(verdict, 'ack');
    assert.deepEqual(sent, [
      {
        exchange: '',
        routingKey: DIRECT_ADDRESS,
        content: Buffer.from('{}'),
        options: {
          correlationId: 'c-1',
          type: 'result',
          contentType: 'application/json',
          persistent: false,
        },
        node: NODE,
      },
    ]);
  });

  it('says whether the broker has confirmed a reply', async () => {
    assert.deepEqual((await serve(direct, ['confirmed'])).replied, [true]);
    assert.deepEqual((await serve(direct, ['requester-gone'])).replied, [false]);
    assert.deepEqual((await serve(direct, ['refused', 'confirmed'])).replied, [false]);
    assert.deepEqual((await serve({ kind: 'drop', reason: 'dead-lettered' }, [])).replied, [false]);
  });

  it('acknowledges a reply whose requester is gone, and counts it as that', async () => {
    const { verdict, counted, lines } = await serve(direct, ['requester-gone']);
    assert.equal(verdict, 'ack');
    assert.deepEqual(counted, [['ping', 'requester-gone']]);
    const { sent, outcome, reason } = JSON.parse(lines.join('')) as Record<string, unknown>;
    assert.deepEqual([sent, outcome], ['requester-gone', 'result']);
    assert.match(String(reason), /node of its requester is down/);
  });

  it('acknowledges without a message what was not served, because its requester is gone', async () => {
    const { verdict, counted, sent } = await serve({ kind: 'requester-gone', reason: 'its node is down' }, []);
    assert.deepEqual([verdict, sent, counted], ['ack', [], [['ping', 'requester-gone']]]);
  });

  describe('a claim that this agent cannot serve, because it does not reach the management API', () => {
    const unavailable = { others: true, cause: new AgentError('BrokerUnavailable', 'no answer') };
    const claim = { routingKey: 'claim-namespace' };

    it('goes back to the queue for another agent', async () => {
      const { verdict, sent, counted, lines } = await serve(direct, [], claim, 10_000, unavailable);
      assert.deepEqual([verdict, sent], ['requeue', []]);
      assert.deepEqual(counted, [['claim-namespace', 'given-back']]);
      const [line] = lines.map((text) => JSON.parse(text) as Record<string, unknown>);
      assert.deepEqual(
        [line?.['code'], line?.['namespace'], line?.['correlationId']],
        ['request_given_back', 'taskcluster-x', 'c-1'],
      );
    });

    for (const [when, input, about] of [
      ['no other agent takes requests', claim, { ...unavailable, others: false }],
      ['it was given back before', { ...claim, redelivered: true }, unavailable],
      ['it is another method', { routingKey: 'revoke-namespace' }, unavailable],
      ['the store failed', claim, { others: true, cause: new AgentError('StoreUnavailable', 'no answer') }],
      ['it succeeded', claim, { others: true }],
    ] as const) {
      it(`is answered when ${when}`, async () => {
        const { verdict, sent } = await serve(direct, ['confirmed'], input, 10_000, about);
        assert.deepEqual([verdict, sent.length], ['ack', 1]);
      });
    }
  });

  it('passes the deadline of the answer', async () => {
    const late = async (signal: AbortSignal): Promise<Answer> => {
      await once(signal, 'abort');
      return direct;
    };
    const { verdict } = await serve(late, ['confirmed'], {}, 1);
    assert.equal(verdict, 'ack');
  });

  it('does not acknowledge before the confirm', async () => {
    const broker = new EventEmitter();
    const confirmed = once(broker, 'confirm').then((): ReplyOutcome => 'confirmed');
    let done = false;
    const parts = {
      answer: async () => ({
        answer: direct,
        method: 'ping',
        namespace: undefined,
        clientId: undefined,
        outcome: 'result',
        cause: undefined,
        afterReply: [],
      }),
      outbox: { send: () => confirmed },
      deadExchange: 'dead',
      hasOthers: async () => false,
      isProbe: () => false,
      clock: createManualClock(),
      log: createLog({ id: 'a', logLevel: 'silent' }),
      onServed: () => undefined,
      deadlineMs: 10_000,
    };
    const served = createServeDelivery(parts)(deliveryOf()).then((verdict) => {
      done = true;
      return verdict;
    });
    await new Promise(setImmediate);
    assert.equal(done, false);
    broker.emit('confirm');
    assert.equal(await served, 'ack');
  });

  it('makes a dead letter of a request whose reply is refused', async () => {
    const { verdict, sent, counted } = await serve(direct, ['refused', 'confirmed'], {
      properties: { headers: { authorization: 'Hawk' } },
    });
    assert.equal(verdict, 'ack');
    assert.equal(sent[1]?.exchange, 'rpc/pulse-agent/v1/dead');
    const headers = sent[1].options.headers as Record<string, unknown>;
    assert.match(String(headers['x-pulse-agent-reason']), /\(refused\)/);
    assert.doesNotMatch(JSON.stringify(sent[1]), /Hawk/);
    assert.deepEqual(counted, [['ping', 'dead-lettered']]);
  });

  describe('of a probe of an agent', () => {
    const probe: DeliveryInput = { properties: { correlationId: 'probe/1', userId: 'agent' } };

    it('is answered, and neither counted nor logged', async () => {
      const { verdict, sent, counted, lines } = await serve(direct, ['confirmed'], probe);
      assert.deepEqual([verdict, sent.length, counted, lines], ['ack', 1, [], []]);
    });

    it('makes no dead letter when that agent waits no more', async () => {
      const refused = await serve(direct, ['refused'], probe);
      assert.deepEqual([refused.verdict, refused.sent.length], ['ack', 1]);
      const unusable = await serve({ kind: 'dead-letter', reason: 'no node' }, [], probe);
      assert.deepEqual([unusable.verdict, unusable.sent.length], ['ack', 0]);
    });

    it('is an ordinary request when another user sent it', async () => {
      const { counted } = await serve(direct, ['confirmed'], { properties: { correlationId: 'probe/1', userId: 'a' } });
      assert.deepEqual(counted, [['ping', 'result']]);
    });
  });

  it('dead-letters a request without an allowed reply address', async () => {
    const { verdict, sent, lines } = await serve({ kind: 'dead-letter', reason: 'no reply_to' }, ['confirmed']);
    assert.equal(verdict, 'ack');
    assert.match(JSON.stringify(sent[0]?.options.headers), /"x-pulse-agent-reason":"no reply_to"/);
    const line = JSON.parse(lines[0] ?? '') as Record<string, unknown>;
    assert.deepEqual([line['reason'], line['sent']], ['no reply_to', 'dead-lettered']);
  });

  it("leaves the request to the queue's own dead letters when the copy is refused", async () => {
    assert.equal((await serve({ kind: 'dead-letter', reason: 'r' }, ['refused'])).verdict, 'reject');
    assert.equal((await serve(direct, ['refused', 'refused'])).verdict, 'reject');
  });

  it('only logs and counts a dropped request', async () => {
    const { verdict, sent, counted } = await serve({ kind: 'drop', reason: 'r' }, []);
    assert.deepEqual([verdict, sent, counted], ['ack', [], [['ping', 'dropped']]]);
  });

  it('requeues a request when the agent stops before its reply is confirmed', async () => {
    assert.equal((await serve(direct, [stopping])).verdict, 'requeue');
    assert.equal((await serve(direct, ['refused', stopping])).verdict, 'requeue');
  });

  it('gives a request back when RabbitMQ does not confirm its reply in time', async () => {
    const unconfirmed = new AgentError('BrokerUnavailable', 'not confirmed');
    assert.equal((await serve(direct, [unconfirmed])).verdict, 'requeue');
    assert.equal((await serve({ kind: 'dead-letter', reason: 'r' }, [unconfirmed])).verdict, 'requeue');
  });

  it('does not throw, whichever part fails', async () => {
    const failed = await serve(direct, [new Error('broken')]);
    assert.equal(failed.verdict, 'reject');
    assert.match(failed.text, /"level":"error".*broken/);
    assert.equal((await serve(new TypeError('a fault'), [])).verdict, 'reject');
  });

  it('counts outcomes by method, and all unknown methods as one', async () => {
    assert.deepEqual((await serve(direct, ['confirmed'])).counted, [['ping', 'result']]);
    for (const routingKey of ['made up', 'constructor', '']) {
      assert.deepEqual((await serve(direct, ['confirmed'], { routingKey })).counted, [['unknown', 'result']]);
    }
  });

  it('logs one line for each request, with client and method and without secrets', async () => {
    const content = { connectionString: 'amqp://u:hidden@h/' };
    const { lines, text } = await serve(
      { ...direct, reply: resultReply('c-1', JSON.stringify(content)) },
      ['confirmed'],
      {
        routingKey: 'claim-namespace',
        redelivered: true,
        content: { replyKey: 'hidden' },
        properties: { userId: 'pulse-agent-claimant', headers: { authorization: 'Hawk hidden' } },
      },
    );
    assert.equal(lines.length, 1);
    assert.doesNotMatch(text, /hidden/);
    const { agent: _agent, pid: _pid, time: _time, ...line } = JSON.parse(text) as Record<string, unknown>;
    assert.deepEqual(line, {
      level: 'info',
      method: 'claim-namespace',
      namespace: 'taskcluster-x',
      clientId: 'project/x',
      userId: 'pulse-agent-claimant',
      correlationId: 'c-1',
      outcome: 'result',
      sent: 'replied',
      durationMs: 0,
      redelivered: true,
      code: 'request_served',
      msg: 'request',
    });
  });

  it('sends an error with the type error', async () => {
    const reply = errorReply('c-1', new WireError('InputError', 'No.'));
    const { sent } = await serve({ ...direct, reply }, ['confirmed']);
    assert.equal(sent[0]?.options.type, 'error');
  });
});
