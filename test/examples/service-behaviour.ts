import assert from 'node:assert/strict';
import {
  clientEnvironment,
  makeInstallation,
  NEWCOMER,
  TEAM,
  teamNamespace,
  useInstallation,
} from '../support/agent.ts';
import { sharedBroker } from '../support/broker.ts';
import type { Program } from '../support/program.ts';

/** How to run the example service of a language. */
export type RunService = (environment: Readonly<Record<string, string>>, args: readonly string[]) => Program;

/** The behaviour of the example service in every language. */
export function behavesAsService(run: () => RunService, onceOption: string, greeting: string): void {
  describe('the service', () => {
    const installation = useInstallation({ settings: { rotationIntervalSeconds: 2 } });

    const environmentOf = (clientId: string): Record<string, string> => clientEnvironment(installation(), clientId);

    it('claims with a sealed reply, connects, publishes and consumes', async () => {
      const namespace = teamNamespace();
      const service = run()(environmentOf(TEAM), [onceOption, namespace]);
      assert.equal(await service.exited, 0, service.output());
      assert.match(service.output(), /claimed, to be claimed again at /);
      assert.ok(service.output().includes(`received: ${greeting}`), service.output());
      const { json } = await (await installation().requester()).request({
        method: 'get-namespace',
        body: { namespace },
      });
      assert.equal(json['state'], 'active');
    });

    it('tries the addresses of RabbitMQ in turn, for requests and with its credentials', async () => {
      const { amqpPort } = await sharedBroker();
      // Nothing listens there.
      const nowhere = 'amqp://127.0.0.1:1';
      const several = await makeInstallation({
        environment: { PUBLIC_AMQP_URL: `${nowhere},amqp://127.0.0.1:${amqpPort}` },
      });
      await several.start();
      const down = new URL(several.claimantUrl);
      down.port = '1';
      const environment = {
        ...clientEnvironment(several, TEAM),
        PULSE_AGENT_URL: `${down.href},${several.claimantUrl}`,
      };
      const service = run()(environment, [onceOption, teamNamespace()]);
      assert.equal(await service.exited, 0, service.output());
      assert.ok(service.output().includes(`received: ${greeting}`), service.output());
      await several.remove();
    });

    it('claims again in time, and continues with other credentials', async () => {
      const service = run()(environmentOf(TEAM), [teamNamespace()]);
      await service.printed(`received: ${greeting}`, 2);
      service.signal('SIGINT');
      assert.equal(await service.exited, 0, service.output());
      assert.doesNotMatch(service.output(), /gone|again in a moment/);
    });

    it('prints why it is refused, and exits', async () => {
      const namespace = teamNamespace();
      const service = run()(environmentOf(NEWCOMER), [onceOption, namespace]);
      assert.equal(await service.exited, 1, service.output());
      assert.match(service.output(), new RegExp(`InsufficientScopes: .*pulse:namespace:${namespace}`));

      const foreign = { ...environmentOf(TEAM), PULSE_AGENT_AUDIENCE: 'pulse-agent' };
      const misled = run()(foreign, [onceOption, namespace]);
      assert.equal(await misled.exited, 1, misled.output());
      assert.match(misled.output(), /AuthenticationFailed: /);
    });

    it('ends with one sentence for a wrong id, vhost or password', async () => {
      const { claimantUrl } = installation();
      const changed = (part: 'pathname' | 'password'): string => {
        const url = new URL(claimantUrl);
        url[part] = 'wrong';
        return url.href;
      };
      for (const [variables, sentence] of [
        [{ PULSE_AGENT_ID: 'wrong' }, /^BrokerRefused: no requests can be sent to an agent with the id wrong: /],
        [{ PULSE_AGENT_URL: changed('pathname') }, /^BrokerRefused: the vhost .*does not exist, /],
        [{ PULSE_AGENT_URL: changed('password') }, /^BrokerRefused: RabbitMQ refuses the user or its password: /],
      ] as const) {
        const service = run()({ ...environmentOf(TEAM), ...variables }, [onceOption, teamNamespace()]);
        assert.equal(await service.exited, 1, service.output());
        assert.match(service.output(), sentence);
        assert.equal(service.output().trimEnd().split('\n').length, 1, service.output());
      }
    });

    it('ends with one sentence for a missing variable, or a URL of another protocol', async () => {
      for (const [variables, sentence] of [
        [{ PULSE_AGENT_URL: '' }, /^set the environment variable PULSE_AGENT_URL: /],
        [{ TASKCLUSTER_CLIENT_ID: '' }, /^set the environment variable TASKCLUSTER_CLIENT_ID: /],
        [{ TASKCLUSTER_ACCESS_TOKEN: '' }, /^set the environment variable TASKCLUSTER_ACCESS_TOKEN: /],
        [{ PULSE_AGENT_URL: 'tcp://user:secret@127.0.0.1' }, /^BrokerRefused: the URL must begin with amqp/],
      ] as const) {
        const service = run()({ ...environmentOf(TEAM), ...variables }, [onceOption, teamNamespace()]);
        assert.equal(await service.exited, 1, service.output());
        assert.match(service.output(), sentence);
        assert.equal(service.output().trimEnd().split('\n').length, 1, service.output());
        assert.ok(!service.output().includes('secret'));
      }
    });

    it('names the alarm that it waits for', async () => {
      const { broker } = installation();
      await broker.rabbitmqctl(['set_vm_memory_high_watermark', '0.00001']);
      const service = run()(environmentOf(TEAM), [onceOption, teamNamespace()]);
      try {
        await service.printed('RabbitMQ has an alarm');
      } finally {
        await broker.rabbitmqctl(['set_vm_memory_high_watermark', '0.6']);
      }
      assert.equal(await service.exited, 0, service.output());
    });

    it('retries what may succeed later', async () => {
      const { taskcluster } = installation();
      taskcluster.behave({ mode: 'failing' });
      const service = run()(environmentOf(TEAM), [onceOption, teamNamespace()]);
      await service.printed('claiming again in a moment');
      assert.match(service.output(), /Unavailable/);
      taskcluster.behave({ mode: 'normal' });
      assert.equal(await service.exited, 0, service.output());
      assert.ok(service.output().includes(`received: ${greeting}`), service.output());
    });
  });
}
