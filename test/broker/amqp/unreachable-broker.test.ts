import assert from 'node:assert/strict';
import { freePorts } from '../../../dev/processes.ts';
import { openBrokerEventsSession } from '../../../src/broker/amqp/broker-events-session.ts';
import { openTopologySession } from '../../../src/broker/amqp/topology-session.ts';
import { AgentError } from '../../../src/util/agent-errors.ts';
import { Secret } from '../../../src/util/secret.ts';
import { makeCertificates } from '../../support/certificates.ts';
import { startTlsServer } from '../../support/tls-relay.ts';

interface Broker {
  readonly url: string;
  readonly ca?: string;
}

const SESSIONS = {
  'the topology': ({ url, ca }: Broker) =>
    openTopologySession({ amqpUrl: new Secret(url), vhost: 'v', requestVhost: 'r', id: 'x', methods: ['ping'], ca }),
  'the broker events': ({ url, ca }: Broker) =>
    openBrokerEventsSession(
      { amqpUrl: new Secret(url), id: 'x', eventVhost: '/', prefetch: 1, ca, onEvent: () => undefined },
      new AbortController().signal,
    ),
} as const;

for (const [what, open] of Object.entries(SESSIONS)) {
  describe(`the connection for ${what} to a RabbitMQ that cannot be reached`, () => {
    async function faultOf(broker: Broker): Promise<AgentError> {
      const fault: unknown = await open(broker).then(
        () => assert.fail('It was opened.'),
        (error: unknown) => error,
      );
      assert.ok(fault instanceof AgentError, String(fault));
      // Advice about queues or permissions would have an operator change what is right.
      assert.doesNotMatch(fault.message, /topology|of the same name|permission|configure|consume/, fault.message);
      assert.doesNotMatch(fault.message, /Failed to connect|Original message/, fault.message);
      assert.ok(fault.cause instanceof Error);
      return fault;
    }

    it('names the certificate that is for another host', async () => {
      const { port, ca } = await startTlsServer('DNS:rabbit.example.com');
      const { code, message } = await faultOf({ url: `amqps://u:secret@localhost:${port}/v`, ca });
      assert.equal(code, 'BrokerRefused');
      assert.match(
        message,
        new RegExp(`certificate of RabbitMQ at amqps://localhost:${port} is not trusted \\(ERR_TLS_`),
      );
      assert.match(message, /rabbit\.example\.com.*RABBITMQ_CA_FILE.*host name of the certificate/);
      assert.doesNotMatch(message, /secret/);
    });

    it('names the certificate whose CA is unknown', async () => {
      const { port } = await startTlsServer();
      const { code, message } = await faultOf({ url: `amqps://u:p@localhost:${port}/v`, ca: makeCertificates().ca });
      assert.equal(code, 'BrokerRefused');
      assert.match(message, /is not trusted \(UNABLE_TO_VERIFY_LEAF_SIGNATURE.*RABBITMQ_CA_FILE/);
    });

    it('names the address where no server listens', async () => {
      const [port = 0] = await freePorts(1);
      const { code, message } = await faultOf({ url: `amqp://u:p@127.0.0.1:${port}/v` });
      assert.equal(code, 'BrokerUnavailable');
      assert.match(
        message,
        new RegExp(`^RabbitMQ at amqp://127\\.0\\.0\\.1:${port} cannot be reached \\(.*ECONNREFUSED`),
      );
    });

    it('names the host that does not exist', async () => {
      const { code, message } = await faultOf({ url: 'amqp://u:p@rabbit.invalid/v' });
      assert.equal(code, 'BrokerUnavailable');
      assert.match(message, /^RabbitMQ at amqp:\/\/rabbit\.invalid:5672 cannot be reached \(.*(ENOTFOUND|EAI_AGAIN)/);
    });

    it('names the port that speaks TLS, or closes every connection', async () => {
      const { port } = await startTlsServer();
      const { code, message } = await faultOf({ url: `amqp://u:p@127.0.0.1:${port}/v` });
      assert.equal(code, 'BrokerUnavailable');
      assert.match(message, /closed the connection before the handshake.*amqps:\/\//);
    });
  });
}
