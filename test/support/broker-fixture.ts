import { createTopologyConnection } from '../../src/broker/amqp/topology-connection.ts';
import type { TopologyConnection, TopologyConnectionOptions } from '../../src/broker/amqp/topology-connection.ts';
import { createManagement } from '../../src/broker/management/management.ts';
import type { Management } from '../../src/broker/management/management.ts';
import { type ContractNames, contractNames } from '../../src/contract/names.ts';
import { Secret } from '../../src/util/secret.ts';
import { createVhost, type TestVhost } from './broker.ts';
import { addCleanup } from './cleanup.ts';
import { unique } from './folders.ts';

/** What most tests of `src/broker/` need: a vhost, an agent's id and a management client. */
export interface BrokerFixture extends TestVhost {
  readonly id: string;
  readonly names: ContractNames;
  readonly management: Management;
  /** Opens the agent's topology connection; errors go to {@link faults}. */
  open(settings?: Partial<TopologyConnectionOptions>): Promise<TopologyConnection>;
  readonly faults: Error[];
}

/** Makes a fixture, which is removed after the test. */
export async function openBrokerFixture(): Promise<BrokerFixture> {
  const vhost = await createVhost();
  const id = unique('agent');
  const url = new URL(vhost.managementUrl);
  const management = createManagement({
    url: url.origin,
    username: vhost.user,
    password: new Secret(vhost.password),
    timeoutMs: 10_000,
  });
  addCleanup(() => management.close());
  const faults: Error[] = [];
  return {
    ...vhost,
    id,
    names: contractNames(id),
    management,
    faults,
    async open(settings = {}) {
      const broker = createTopologyConnection({
        amqpUrl: new Secret(vhost.amqpUrl),
        vhost: vhost.vhost,
        requestVhost: vhost.requestVhost,
        id,
        methods: ['ping', 'claim-namespace'],
        maxSkewSeconds: 300,
        management,
        maxReconnectDelayMs: 500,
        onError: (error) => void faults.push(error),
        ...settings,
      });
      addCleanup(() => broker.close());
      await broker.start();
      return broker;
    },
  };
}
