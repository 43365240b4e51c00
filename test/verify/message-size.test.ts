import assert from 'node:assert/strict';
import { messageSizeStep, RECOMMENDED_MESSAGE_BYTES, takesMessage } from '../../src/verify/message-size.ts';
import { startRabbitMQ } from '../../dev/rabbitmq.ts';
import { BROKER_START_MS, openConnection } from '../support/broker.ts';
import { addCleanup } from '../support/cleanup.ts';
import { makeFolder } from '../support/folders.ts';

describe('the check of the largest message', function () {
  this.timeout(BROKER_START_MS);

  it('warns of a limit above 16 MiB, and finds one of 16 MiB in order', async () => {
    const broker = await startRabbitMQ({ folder: makeFolder('message-size') });
    addCleanup(() => broker.kill());
    const step = messageSizeStep({ connect: () => openConnection(broker.amqpUrl), missingQueue: 'missing' });
    // RabbitMQ 4 keeps it elsewhere than 3.
    const limitTo = (bytes: number) =>
      broker.rabbitmqctl([
        'eval',
        `application:set_env(rabbit, max_message_size, ${bytes}), persistent_term:put(max_message_size, ${bytes}).`,
      ]);
    const { signal } = new AbortController();

    await limitTo(2 * RECOMMENDED_MESSAGE_BYTES);
    const larger = await step.run(signal);
    assert.equal(larger.outcome, 'warning');
    assert.match(larger.remedy ?? '', /max_message_size = 16777216/);

    await limitTo(RECOMMENDED_MESSAGE_BYTES);
    assert.equal((await step.run(signal)).outcome, 'ok');
    const connection = await openConnection(broker.amqpUrl);
    assert.equal(await takesMessage(connection, 'missing', RECOMMENDED_MESSAGE_BYTES), true);
  });
});
