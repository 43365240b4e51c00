import assert from 'node:assert/strict';
import { LIMIT_WINDOW_MS, limitMessages, MAX_MESSAGES } from '../../src/notices/limit-messages.ts';
import type { Notifier, NoticeMessage, NoticeOutcome } from '../../src/notices/notifier.ts';
import { createManualClock } from '../support/manual-clock.ts';

const { signal } = new AbortController();
const LIMITED = { is: 'limited', code: 'TooManyMessages' };
const toRoom = (roomId: string): NoticeMessage => ({ medium: 'matrix', roomId, body: 'x', formattedBody: 'x' });

describe('the limit of messages to one contact', () => {
  const make = (outcome: () => NoticeOutcome = () => ({ is: 'sent' })) => {
    const clock = createManualClock();
    let calls = 0;
    const notifier: Notifier = {
      async send() {
        calls += 1;
        await Promise.resolve();
        return outcome();
      },
    };
    return { clock, limited: limitMessages(notifier, clock), calls: () => calls };
  };

  it('holds for each contact, also for messages at the same time, and ends with its window', async () => {
    const { clock, limited, calls } = make();
    const send = (id: string, times: number) =>
      Promise.all(Array.from({ length: times }, () => limited.send(toRoom(id), signal)));
    const first = await send('!a', MAX_MESSAGES + 5);
    assert.deepEqual(
      first.slice(MAX_MESSAGES),
      Array.from({ length: 5 }, () => LIMITED),
    );
    assert.equal(calls(), MAX_MESSAGES);
    assert.deepEqual([limited.isLimited?.('matrix:!a'), limited.isLimited?.('matrix:!b')], [true, false]);
    assert.deepEqual(await limited.send({ medium: 'slack', channelId: '!a', text: 'x' }, signal), { is: 'sent' });
    assert.deepEqual(await send('!b', 1), [{ is: 'sent' }]);
    clock.advance(LIMIT_WINDOW_MS - 1);
    assert.deepEqual(await send('!a', 1), [LIMITED]);
    clock.advance(1);
    assert.deepEqual(await send('!a', 1), [{ is: 'sent' }]);
  });

  it('counts what may have arrived, and nothing that was not sent', async () => {
    let outcome: NoticeOutcome = { is: 'misconfigured', code: 'InsufficientScopes' };
    const { limited } = make(() => outcome);
    const send = async (times: number): Promise<NoticeOutcome[]> => {
      const all: NoticeOutcome[] = [];
      for (let time = 0; time < times; time += 1) all.push(await limited.send(toRoom('!a'), signal));
      return all;
    };
    for (const { is } of await send(2 * MAX_MESSAGES)) assert.equal(is, 'misconfigured');
    outcome = { is: 'unavailable', code: 'TimedOut', mayHaveArrived: true };
    assert.deepEqual((await send(MAX_MESSAGES + 1)).at(-1), LIMITED);
  });
});
