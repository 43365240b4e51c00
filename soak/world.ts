import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { freePorts } from '../dev/processes.ts';
import { type LocalMongoDB, startMongoDB } from '../dev/mongodb.ts';
import { type LocalTaskcluster, startTaskcluster } from '../dev/taskcluster/server.ts';
import { startRelay, type TcpRelay } from '../dev/tcp-relay.ts';
import { WORKING_COPY } from '../dev/working-copy.ts';
import { type ContractNames, contractNames } from '../src/contract/names.ts';
import { type AdminApi, createAdminApi } from './admin-api.ts';
import { type BrokerNodes, startBrokerNodes } from './broker-nodes.ts';
import type { SoakOptions } from './options.ts';
import {
  AGENT_USER,
  AUDIENCE,
  HOLDER,
  ID,
  NOTIFIER,
  OPERATOR,
  PREFIX,
  REQUEST_VHOST,
  settingsFor,
} from './settings.ts';
import { type AgentListener, createSoakAgent, type SoakAgent } from './soak-agent.ts';

/** Everything that faults break and watchers check. */
export interface World {
  readonly folder: string;
  readonly brokers: BrokerNodes;
  readonly admin: AdminApi;
  readonly mongodb: LocalMongoDB;
  readonly taskcluster: LocalTaskcluster;
  readonly agents: readonly SoakAgent[];
  /** The ways of the agents to the management API of each node, and to the store. */
  readonly managementRelays: readonly AgentRelay[];
  readonly storeRelays: readonly AgentRelay[];
  readonly names: ContractNames;
  readonly audience: string;
  /** An AMQP URL that leads to a node that is up, in the vhost of the requests, as the claimant. */
  readonly claimantUrl: string;
  /** The same for the client library: the addresses of all nodes. */
  readonly claimantUrls: string;
  /** The same as the administrator, in the vhost of the tenants. */
  readonly adminUrl: string;
  /** The same in the vhost of the requests. */
  readonly adminRequestUrl: string;
  /** Texts that no log may hold. */
  readonly secrets: readonly string[];
  readonly storeUrl: string;
  close(): Promise<void>;
}

/** A way of one agent to something that it depends on. */
export interface AgentRelay {
  /** The index of the agent. */
  readonly agent: number;
  readonly relay: TcpRelay;
}

/** The same URL for several ports. `login` ends in @ unless it is empty. */
function listOf(ports: readonly number[], scheme: string, login: string, path = ''): string {
  return ports.map((port) => `${scheme}://${login}127.0.0.1:${port}${path}`).join(',');
}

/** Starts broker, store and Taskcluster, and makes the agents, which do not run yet. */
export async function openWorld(
  options: SoakOptions,
  folder: string,
  onProgress: (line: string) => void,
  listener: AgentListener,
): Promise<World> {
  const closers: (() => void | Promise<void>)[] = [];
  const close = async (): Promise<void> => {
    for (const closer of closers.toReversed()) await closer();
  };
  try {
    const brokers = await startBrokerNodes(options.nodes, join(folder, 'rabbitmq'), onProgress);
    closers.push(() => brokers.close());
    const cacheFolder = join(WORKING_COPY, '.cache');
    const mongodb = await startMongoDB({ folder: join(folder, 'mongodb'), cacheFolder, onProgress });
    closers.push(() => mongodb.kill());
    const accessTokens = [HOLDER, OPERATOR, NOTIFIER].map(() => randomBytes(24).toString('hex'));
    const [holderToken = '', operatorToken = '', agentToken = ''] = accessTokens;
    const taskcluster = await startTaskcluster({
      directory: {
        clients: [
          { clientId: HOLDER, accessToken: holderToken, scopes: [`pulse:namespace:${PREFIX}*`] },
          {
            clientId: OPERATOR,
            accessToken: operatorToken,
            scopes: [`pulse:namespace:${PREFIX}*`, `pulse:revoke:${PREFIX}*`],
          },
          { clientId: NOTIFIER, accessToken: agentToken, scopes: ['notify:email:*'] },
        ],
      },
    });
    closers.push(() => taskcluster.close());

    const relay = async (target: () => number | undefined): Promise<TcpRelay> => {
      const made = await startRelay(target);
      closers.push(() => made.close());
      return made;
    };
    /** Like a load balancer with health checks: to the preferred node when it is up, else to another one. */
    const nodeFor = (preferred: number): number | undefined =>
      brokers.isUp(preferred % options.nodes) ? preferred % options.nodes : brokers.up()[0];
    let turn = 0;
    const balancer = await relay(() => {
      const index = nodeFor((turn += 1));
      return index === undefined ? undefined : brokers.amqpPort(index);
    });

    const admin = createAdminApi(brokers);
    const agentPassword = randomBytes(18).toString('base64url');
    await admin.call('PUT', `/users/${AGENT_USER}`, { password: agentPassword, tags: 'administrator' });
    const everything = { configure: '.*', write: '.*', read: '.*' };
    await admin.call('PUT', `/permissions/%2F/${AGENT_USER}`, everything);
    await admin.call('PUT', `/vhosts/${REQUEST_VHOST}`);
    await admin.call('PUT', `/permissions/${REQUEST_VHOST}/${brokers.user}`, everything);

    const storeUrl = Object.assign(new URL(mongodb.url), { pathname: '/pulse-soak' });
    const agentSecret = randomBytes(33).toString('base64');
    const claimantPassword = randomBytes(18).toString('base64url');
    const settingsFile = join(folder, 'settings.yml');
    writeFileSync(settingsFile, stringify(settingsFor(options.namespaces)));
    const httpPorts = await freePorts(options.agents);
    const everyNode = [...brokers.nodes.keys()];
    const amqpPorts = everyNode.map((node) => brokers.amqpPort(node));
    const publicUrls = listOf(amqpPorts, 'amqp', '');
    const [managementRelays, storeRelays, agents]: [AgentRelay[], AgentRelay[], SoakAgent[]] = [[], [], []];
    for (let index = 0; index < options.agents; index += 1) {
      // The first agent has one address with health checks behind it, the others know those of all nodes.
      const isBalanced = index === 0;
      const targets = isBalanced ? [() => nodeFor(index)] : everyNode.map((node) => () => node);
      const management = await Promise.all(
        targets.map((target) =>
          relay(() => {
            const node = target();
            return node === undefined ? undefined : brokers.managementPort(node);
          }),
        ),
      );
      const amqp = await relay(() => {
        const node = nodeFor(index);
        return node === undefined ? undefined : brokers.amqpPort(node);
      });
      const store = await relay(() => Number(storeUrl.port));
      managementRelays.push(...management.map((each) => ({ agent: index, relay: each })));
      storeRelays.push({ agent: index, relay: store });
      const environment = {
        PULSE_AGENT_CONFIG: settingsFile,
        RABBITMQ_URL: listOf(isBalanced ? [amqp.port] : amqpPorts, 'amqp', `${AGENT_USER}:${agentPassword}@`),
        RABBITMQ_MANAGEMENT_URL: listOf(
          management.map(({ port }) => port),
          'http',
          '',
        ),
        PUBLIC_AMQP_URL: publicUrls,
        STORE_URL: Object.assign(new URL(storeUrl), { port: String(store.port) }).href,
        TASKCLUSTER_ROOT_URL: taskcluster.rootUrl,
        TASKCLUSTER_ACCESS_TOKEN: agentToken,
        PULSE_AGENT_SECRET: agentSecret,
        PULSE_AGENT_CLAIMANT_PASSWORD: claimantPassword,
        LOG_LEVEL: 'debug',
      };
      const port = httpPorts[index] ?? 0;
      agents.push(createSoakAgent(`agent-${index + 1}`, folder, port, environment, listener));
    }
    closers.push(async () => void (await Promise.all(agents.map((agent) => agent.kill()))));

    const names = contractNames(ID);
    const through = (user: string, password: string, path: string): string =>
      `amqp://${user}:${password}@127.0.0.1:${balancer.port}/${path}`;
    return {
      folder,
      brokers,
      admin,
      mongodb,
      taskcluster,
      agents,
      managementRelays,
      storeRelays,
      names,
      audience: AUDIENCE,
      claimantUrl: through(names.claimantUser, claimantPassword, REQUEST_VHOST),
      claimantUrls: listOf(amqpPorts, 'amqp', `${names.claimantUser}:${claimantPassword}@`, `/${REQUEST_VHOST}`),
      adminUrl: through(brokers.user, brokers.password, '%2F'),
      adminRequestUrl: through(brokers.user, brokers.password, REQUEST_VHOST),
      secrets: [agentPassword, agentSecret, claimantPassword, brokers.password, ...accessTokens],
      storeUrl: storeUrl.href,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}
