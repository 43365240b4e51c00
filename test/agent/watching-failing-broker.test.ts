import type { Management } from '../../src/broker/management/management.ts';
import { type LocalRabbitMQ, startRabbitMQ } from '../../dev/rabbitmq.ts';
import { AgentError } from '../../src/util/agent-errors.ts';
import { BROKER_START_MS } from '../support/broker.ts';
import { addCleanup } from '../support/cleanup.ts';
import { makeFolder } from '../support/folders.ts';
import { type Around, interceptManagement, interceptStore } from '../support/step-observer.ts';
import {
  claimTeam,
  collectEvents,
  queueExists,
  makeWatchedInstallation,
  waitUntil,
} from '../support/watched-installation.ts';
import { linesWith } from '../support/test-log.ts';

/** A gate, closed at first. */
function makeGate(): { open: () => void; passed: Promise<void> } {
  let open = (): void => undefined;
  const passed = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { open, passed };
}

describe('watching queues through faults of the broker', function () {
  this.timeout(180_000);
  let broker: LocalRabbitMQ;
  before('start a RabbitMQ of its own', async function () {
    this.timeout(BROKER_START_MS);
    broker = await startRabbitMQ({ folder: makeFolder('watched-broker') });
    addCleanup(() => broker.kill());
  });
  after('stop it', () => broker.kill());

  it('deletes during an alarm; the events are published afterwards, or logged', async () => {
    const installation = await makeWatchedInstallation({ broker });
    const gate = makeGate();
    const around: Around = async (step, call) => {
      if (step === 'queueAlerts.insert') await gate.passed;
      return await call();
    };
    await installation.start({ wrapStore: (store) => interceptStore(store, around) });
    const events = await collectEvents(installation);
    const team = await claimTeam(installation);
    const queue = `queue/${team.namespace}/alarming`;
    await team.channel.assertQueue(queue);
    await team.fill(queue, 60);
    await broker.rabbitmqctl(['set_vm_memory_high_watermark', '0.00001']);
    await installation.logged('alarm_set');
    gate.open();
    await waitUntil(async () => !(await queueExists(installation, queue)), 'the deletion');
    await broker.rabbitmqctl(['set_vm_memory_high_watermark', '0.6']);
    await installation.logged('alarm_cleared');
    const isReported = (type: string): boolean =>
      events.seen.some((event) => event.type === type && event.subject === queue) ||
      linesWith(installation.log, 'event_not_published', { type }).length > 0;
    await waitUntil(() => isReported('queue.warning') && isReported('queue.deleted'), 'both events');
    await installation.remove();
  });

  it('watches queues while the event exchange is disabled, and consumes events again once it is enabled', async () => {
    const installation = await makeWatchedInstallation({ broker });
    let areSurveysOff = false;
    const wrapManagement = (management: Management): Management =>
      interceptManagement(management, async (step, call) => {
        if (areSurveysOff && step === 'management.visitQueues') throw new AgentError('BrokerUnavailable', 'By a test.');
        return await call();
      });
    await installation.start({ wrapManagement });
    const starts = (): number => linesWith(installation.log, 'broker_events_started').length;
    await waitUntil(() => starts() === 1, 'broker events');
    const events = await collectEvents(installation);
    const team = await claimTeam(installation);
    const queueOf = (name: string): string => `queue/${team.namespace}/${name}`;
    const growTo = async (name: string, messages: number): Promise<void> => {
      await team.channel.assertQueue(queueOf(name));
      await team.fill(queueOf(name), messages);
    };
    await growTo('before', 60);
    await events.of('queue.deleted', queueOf('before'));
    await broker.rabbitmqPlugins(['disable', 'rabbitmq_event_exchange']);
    await growTo('without', 60);
    await events.of('queue.deleted', queueOf('without'));
    await broker.rabbitmqPlugins(['enable', 'rabbitmq_event_exchange']);
    await waitUntil(() => starts() === 2, 'broker events again');
    // Without surveys, only an event can report this one.
    areSurveysOff = true;
    await growTo('after', 30);
    await events.of('queue.warning', queueOf('after'));
    await installation.remove();
  });
});
