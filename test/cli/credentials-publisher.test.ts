import assert from 'node:assert/strict';
import { once } from 'node:events';
import { CredentialsPublisher, type PublisherEvent } from '../../src/cli/credentials-publisher.ts';
import { createVirtualTime } from '../support/virtual-time.ts';

/** A publisher of what `set` says, whose writes and notifications end when the test says. */
function openPublisher({ notifiesFirst = true, notifies = true } = {}) {
  const time = createVirtualTime(0);
  const steps: string[] = [];
  const faults: { write?: Error | undefined; notify?: Error | undefined } = {};
  /** Where these are set, work waits. */
  const gates: { write?: Promise<void> | undefined; notify?: Promise<void> | undefined } = {};
  let current: { text: string; credentials: string } | undefined = { text: 'a', credentials: 'a' };
  const publisher = new CredentialsPublisher({
    current: () => current,
    async write(text) {
      steps.push(`write ${text}`);
      await gates.write;
      if (faults.write !== undefined) throw faults.write;
    },
    notify: notifies
      ? async (signal) => {
          steps.push('notify');
          if (gates.notify !== undefined) await Promise.race([gates.notify, once(signal, 'abort')]);
          if (faults.notify !== undefined) throw faults.notify;
        }
      : undefined,
    notifiesFirst,
    report: (event: PublisherEvent) => {
      const { retryAt, failures } = { retryAt: undefined, failures: 0, ...event };
      steps.push(
        retryAt === undefined ? event.event : `${event.event} ${failures} until ${retryAt.getTime() / 1000} s`,
      );
    },
    time,
  });
  return {
    publisher,
    time,
    faults,
    gates,
    set: (text: string | undefined, credentials = text): void => {
      current = text === undefined || credentials === undefined ? undefined : { text, credentials };
      publisher.changed();
    },
    /** What was done since the last call. */
    done: async (afterMs = 0): Promise<string[]> => {
      await time.advance(afterMs);
      return steps.splice(0);
    },
  };
}

function gate(): { readonly promise: Promise<void>; readonly open: () => void } {
  let open = (): void => undefined;
  const promise = new Promise<void>((resolve) => (open = resolve));
  return { promise, open };
}

describe('the publisher of credentials', () => {
  it('writes and then notifies, at the start and after each change', async () => {
    const { publisher, set, done } = openPublisher();
    await publisher.start();
    assert.deepEqual(await done(), ['write a', 'written', 'notify', 'notified']);
    set('b');
    assert.deepEqual(await done(), ['write b', 'written', 'notify', 'notified']);
    publisher.changed();
    assert.deepEqual(await done(60_000), [], 'the same again is no change');
    await publisher.close();
  });

  it('notifies of other credentials only, not of other times', async () => {
    const { publisher, set, done } = openPublisher();
    await publisher.start();
    await done();
    set('later', 'a');
    assert.deepEqual(await done(), ['write later', 'written']);
    await publisher.close();
  });

  it('does not notify of the first credentials a program that reads them at its start', async () => {
    const { publisher, set, done } = openPublisher({ notifiesFirst: false });
    await publisher.start();
    assert.deepEqual(await done(), ['write a', 'written']);
    set('b');
    assert.deepEqual(await done(), ['write b', 'written', 'notify', 'notified']);
    await publisher.close();
  });

  it('only writes where nothing is to be notified', async () => {
    const { publisher, set, done } = openPublisher({ notifies: false });
    await publisher.start();
    set('b');
    assert.deepEqual(await done(), ['write a', 'written', 'write b', 'written']);
    await publisher.close();
  });

  it('publishes after a notification what changed meanwhile: once, the latest', async () => {
    const { publisher, gates, set, done } = openPublisher();
    const { promise, open } = gate();
    gates.notify = promise;
    await publisher.start();
    assert.deepEqual(await done(), ['write a', 'written', 'notify']);
    set('b');
    set('c');
    assert.deepEqual(await done(60_000), [], 'notifications do not overlap');
    open();
    assert.deepEqual(await done(), ['notified', 'write c', 'written', 'notify', 'notified']);
    await publisher.close();
  });

  it('publishes what changed during a write', async () => {
    const { publisher, gates, set, done } = openPublisher();
    await publisher.start();
    await done();
    const { promise, open } = gate();
    gates.write = promise;
    set('b');
    assert.deepEqual(await done(), ['write b']);
    set('c');
    open();
    assert.deepEqual(await done(), ['written', 'notify', 'notified', 'write c', 'written', 'notify', 'notified']);
    await publisher.close();
  });

  it('tries a write again with growing pauses, and notifies only when it is done', async () => {
    const { publisher, faults, set, done } = openPublisher();
    await publisher.start();
    await done();
    faults.write = new Error('ENOSPC');
    set('b');
    assert.deepEqual(await done(7000), [
      'write b',
      'write-failing 1 until 1 s',
      'write b',
      'write-failing 2 until 3 s',
      'write b',
      'write-failing 3 until 7 s',
      'write b',
      'write-failing 4 until 15 s',
    ]);
    faults.write = undefined;
    assert.deepEqual(await done(8000), ['write b', 'written', 'notify', 'notified']);
    await publisher.close();
  });

  it('tries a notification again without another write, half a minute later at most', async () => {
    const { publisher, faults, done } = openPublisher();
    faults.notify = new Error('The command failed.');
    await publisher.start();
    const steps = await done(1_000_000);
    assert.equal(steps.filter((step) => step === 'write a').length, 1);
    assert.ok(steps.filter((step) => step === 'notify').length > 30);
    faults.notify = undefined;
    assert.deepEqual(await done(30_000), ['notify', 'notified']);
    await publisher.close();
  });

  it('does not wait with a change for the next attempt', async () => {
    const { publisher, faults, set, done } = openPublisher();
    faults.notify = new Error('The command failed.');
    await publisher.start();
    await done(20_000);
    faults.notify = undefined;
    set('b');
    assert.deepEqual(await done(), ['write b', 'written', 'notify', 'notified']);
    await publisher.close();
  });

  it('rejects at the start if the first write fails, and does nothing more', async () => {
    const { publisher, faults, done } = openPublisher();
    faults.write = new Error('ENOENT');
    await assert.rejects(publisher.start(), /ENOENT/);
    await publisher.close();
    assert.deepEqual(await done(60_000), ['write a']);
  });

  it('finishes a write when it is closed, and does not notify of it', async () => {
    const { publisher, gates, set, done } = openPublisher();
    await publisher.start();
    await done();
    const { promise, open } = gate();
    gates.write = promise;
    set('b');
    await done();
    let isClosed = false;
    const closing = publisher.close().then(() => (isClosed = true));
    await done();
    assert.ok(!isClosed);
    open();
    await closing;
    assert.deepEqual(await done(60_000), ['written']);
  });

  it('ends a notification when it is closed, and a pause', async () => {
    for (const fault of [undefined, new Error('The command failed.')]) {
      const { publisher, gates, faults, done } = openPublisher();
      faults.notify = fault;
      if (fault === undefined) gates.notify = gate().promise;
      await publisher.start();
      await done();
      await publisher.close();
      assert.deepEqual(
        (await done(60_000)).filter((step) => step.startsWith('write')),
        [],
      );
    }
  });

  it('does nothing for a lease that is over', async () => {
    const { publisher, set, done } = openPublisher();
    await publisher.start();
    await done();
    set(undefined);
    assert.deepEqual(await done(60_000), []);
    await publisher.close();
  });
});
