import { randomBytes } from 'node:crypto';
import { existsSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { createEpmd, type Epmd } from './epmd.ts';
import { killLeftBehind } from './left-behind.ts';
import { freePorts } from './processes.ts';
import { type BrokerIdentity, brokerEnvironment, keepIdentity, writeBrokerFiles } from './rabbitmq-files.ts';
import { ensureRabbitMQ, type RabbitMQInstallation } from './rabbitmq-install.ts';
import { createNode, type LocalRabbitMQ } from './rabbitmq-node.ts';

/** How to start a private cluster. */
export interface ClusterOptions {
  /** The cluster writes only here. What is in it is removed first. */
  readonly folder: string;
  /** Three when absent. */
  readonly nodes?: number;
  /** RabbitMQ is unpacked here where it cannot be installed; default `.cache/rabbitmq` of the current folder. */
  readonly cacheFolder?: string;
  /** Plugins in addition to management and event exchange. */
  readonly plugins?: readonly string[];
  /** Lines to add to rabbitmq.conf of every node. */
  readonly extraConfig?: string;
  /** What nodes do when they lose the others; `ignore`, as RabbitMQ by default, when absent. */
  readonly partitionHandling?: PartitionHandling;
  readonly onProgress?: (line: string) => void;
  readonly signal?: AbortSignal;
}

export type PartitionHandling = 'ignore' | 'pause_minority' | 'autoheal';

/** What a node of the cluster says about another one, or about itself. */
export interface NodeView {
  readonly name: string;
  /** Whether RabbitMQ runs on it. */
  readonly running: boolean;
  /** The nodes from which Mnesia of this node is partitioned. */
  readonly partitions: readonly string[];
}

/** A private cluster: nodes on 127.0.0.1 with one epmd, one Erlang cookie and one administrator. */
export interface LocalCluster {
  /** Its members, also those that do not run. */
  readonly nodes: readonly LocalRabbitMQ[];
  readonly user: string;
  readonly password: string;
  readonly folder: string;
  /** Starts another node, which joins. */
  add(signal?: AbortSignal): Promise<LocalRabbitMQ>;
  /** Starts another node, which is alone: until it has joined, by hand, the cluster is not whole. */
  addAlone(signal?: AbortSignal): Promise<LocalRabbitMQ>;
  /** Kills a node, has the others forget it unless they have, and removes its data. */
  forget(node: LocalRabbitMQ, signal?: AbortSignal): Promise<void>;
  /**
   * Cuts the connections between these nodes and the others, as a fault of the network does. Clients reach all of them. Each
   * side sees the other as not running; no side names a partition before {@link heal}.
   */
  partition(nodes: readonly LocalRabbitMQ[], signal?: AbortSignal): Promise<void>;
  /**
   * Ends the partition and resolves when the nodes are connected again. What follows is the matter of the partition
   * handling. With `ignore`, Mnesia stays split until the nodes of one side are restarted: `GET /api/nodes` names the
   * partitions up to 15 s later, and each side goes on to see the other as not running. With `pause_minority` and `autoheal`
   * all is well within 5 to 15 s.
   */
  heal(signal?: AbortSignal): Promise<void>;
  /** {@link partition} and {@link heal} in a moment: the nodes connect again by themselves. */
  interrupt(nodes: readonly LocalRabbitMQ[], signal?: AbortSignal): Promise<void>;
  /** Changes the partition handling of the running nodes, until they restart or {@link restore} is called. */
  handlePartitions(mode: PartitionHandling, signal?: AbortSignal): Promise<void>;
  /** What a node sees, from its management API. */
  viewOf(node: LocalRabbitMQ): Promise<NodeView[]>;
  /**
   * Resumes, heals, starts and, where Mnesia stays split, restarts nodes until every node sees all others. Call it after a
   * node was suspended for longer than 15 s, too: with `ignore` and `pause_minority` Mnesia stays split when it is resumed.
   */
  restore(signal?: AbortSignal): Promise<void>;
  /** Kills all nodes: their data are thrown away in most cases. */
  stop(): Promise<void>;
}

/** Few CPUs: one scheduler a node that does not spin; a node that vanished is noticed after 9 to 15 s instead of a minute. */
const ERLANG_ARGUMENTS = '+S 1:1 -kernel net_ticktime 12';

/** How long a change of the cluster may take to be seen, in ms: the machine may be busy. */
const CHANGE_TIMEOUT_MS = 90_000;

/** How long the partition handling has to end a split by itself, in ms. */
const SELF_HEALING_MS = 30_000;
/** How old the partitions of a view may be, in ms: they come with the statistics. */
const STALE_VIEW_MS = 20_000;

/**
 * Starts a private cluster, installs RabbitMQ first if necessary, and waits until every node serves AMQP and HTTP and sees
 * all others. Its nodes die with this process, even if that is killed.
 *
 * @throws AgentError `BrokerUnavailable` when RabbitMQ cannot be installed or does not start
 * @example
 * const cluster = await startCluster({ folder: '.cache/cluster' });
 * await cluster.nodes[0].kill();
 * await cluster.stop();
 */
export async function startCluster(options: ClusterOptions): Promise<LocalCluster> {
  const folder = resolve(options.folder);
  const onProgress = options.onProgress ?? (() => undefined);
  const installation = await ensureRabbitMQ({
    cacheFolder: resolve(options.cacheFolder ?? '.cache/rabbitmq'),
    onProgress,
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  });
  const home = join(folder, 'home');
  await killLeftBehind(folder, `HOME=${home}`);
  for (let number = 1; existsSync(join(folder, `node-${number}`)); number++) {
    await killLeftBehind(join(folder, `node-${number}`), `HOME=${home}`);
  }
  rmSync(folder, { recursive: true, force: true });
  const cluster = new PrivateCluster(folder, options, installation);
  try {
    await cluster.start(options.nodes ?? 3, options.signal);
  } catch (error) {
    await cluster.stop();
    throw error;
  }
  return cluster;
}

class PrivateCluster implements LocalCluster {
  readonly folder: string;
  readonly user = 'pulse-agent';
  readonly password = randomBytes(18).toString('base64url');
  readonly #options: ClusterOptions;
  readonly #installation: RabbitMQInstallation;
  #nodes: LocalRabbitMQ[] = [];
  #made = 0;
  #epmd: (Epmd & { readonly port: number }) | undefined;
  #partition: readonly (readonly LocalRabbitMQ[])[] = [];
  readonly #configuredHandling: PartitionHandling;
  #partitionHandling: PartitionHandling;

  constructor(folder: string, options: ClusterOptions, installation: RabbitMQInstallation) {
    this.folder = folder;
    this.#options = options;
    this.#installation = installation;
    this.#configuredHandling = options.partitionHandling ?? 'ignore';
    this.#partitionHandling = this.#configuredHandling;
  }

  get nodes(): readonly LocalRabbitMQ[] {
    return this.#nodes;
  }

  async start(count: number, signal: AbortSignal | undefined): Promise<void> {
    const [epmdPort = 0, ...ports] = await freePorts(1 + 3 * count);
    const first = this.#made + 1;
    const names = Array.from({ length: count }, (_, index) => nodeName(first + index));
    this.#nodes = names.map((_, index) => this.#make(names, epmdPort, ports.slice(3 * index, 3 * index + 3)));
    const started = await Promise.allSettled(this.#nodes.map((node) => node.start(signal)));
    for (const result of started) if (result.status === 'rejected') throw result.reason;
    await this.#untilWhole(signal);
  }

  async add(signal?: AbortSignal): Promise<LocalRabbitMQ> {
    const node = await this.#add(
      this.#nodes.map(({ nodeName: name }) => name),
      signal,
    );
    await this.#untilWhole(signal);
    return node;
  }

  async addAlone(signal?: AbortSignal): Promise<LocalRabbitMQ> {
    return await this.#add([], signal);
  }

  async #add(peers: readonly string[], signal: AbortSignal | undefined): Promise<LocalRabbitMQ> {
    if (this.#epmd === undefined) throw new Error('The cluster was not started.');
    const node = this.#make(peers, this.#epmd.port, await freePorts(3));
    this.#nodes = [...this.#nodes, node];
    await node.start(signal);
    return node;
  }

  async forget(node: LocalRabbitMQ, signal?: AbortSignal): Promise<void> {
    await node.kill();
    const other = this.#nodes.find((each) => each !== node && each.running());
    if (other === undefined) throw new Error('No other node runs, so none can forget this one.');
    const isKnown = (await this.viewOf(other)).some(({ name }) => name === node.nodeName);
    if (isKnown) await other.rabbitmqctl(['forget_cluster_node', node.nodeName], signal);
    this.#nodes = this.#nodes.filter((each) => each !== node);
    rmSync(node.folder, { recursive: true, force: true });
  }

  async partition(nodes: readonly LocalRabbitMQ[], signal?: AbortSignal): Promise<void> {
    const { at, here, there } = this.#sides(nodes);
    // A wrong cookie for each node of the other side, so that neither side can connect again.
    await at.rabbitmqctl(
      [
        'eval',
        `Here = ${atoms(here)}, There = ${atoms(there)},
         Refuse = fun(X, Y, Cookie) -> rpc:call(X, erlang, set_cookie, [Y, Cookie]) end,
         [begin Refuse(X, Y, here), Refuse(Y, X, there) end || X <- Here, Y <- There],
         ${disconnect('Here', 'There')}`,
      ],
      signal,
    );
    this.#partition = [here, there];
  }

  async interrupt(nodes: readonly LocalRabbitMQ[], signal?: AbortSignal): Promise<void> {
    const { at, here, there } = this.#sides(nodes);
    await at.rabbitmqctl(['eval', disconnect(atoms(here), atoms(there))], signal);
  }

  async heal(signal?: AbortSignal): Promise<void> {
    const sides = this.#partition.map((side) => side.filter((node) => this.#nodes.includes(node) && node.running()));
    this.#partition = [];
    const [here = [], there = []] = sides;
    await Promise.all(
      [
        [here, there],
        [there, here],
      ].map(async ([side = [], others = []]) => {
        const [at] = side;
        if (at === undefined) return;
        await at.rabbitmqctl(
          [
            'eval',
            `[rpc:call(X, erlang, set_cookie, [Y, erlang:get_cookie()]) || X <- ${atoms(side)}, Y <- ${atoms(others)}], ok.`,
          ],
          signal,
        );
      }),
    );
    const [at] = here;
    if (at === undefined || there.length === 0) return;
    await at.rabbitmqctl(
      ['eval', `[pong = rpc:call(X, net_adm, ping, [Y]) || X <- ${atoms(here)}, Y <- ${atoms(there)}], ok.`],
      signal,
    );
  }

  async handlePartitions(mode: PartitionHandling, signal?: AbortSignal): Promise<void> {
    const at = this.#nodes.find((node) => node.running());
    const all = atoms(this.#nodes);
    const change = `rpc:multicall(${all}, application, set_env, [rabbit, cluster_partition_handling, ${mode}]), ok.`;
    await at?.rabbitmqctl(['eval', change], signal);
    this.#partitionHandling = mode;
  }

  async viewOf(node: LocalRabbitMQ): Promise<NodeView[]> {
    const authorization = `Basic ${Buffer.from(`${this.user}:${this.password}`).toString('base64')}`;
    const response = await fetch(`${node.managementUrl}/api/nodes?columns=name,running,partitions`, {
      headers: { authorization, connection: 'close' },
      signal: AbortSignal.timeout(10_000),
    });
    if (!response.ok) throw new Error(`GET /api/nodes of ${node.nodeName} was answered with ${response.status}.`);
    const listed = (await response.json()) as (Pick<NodeView, 'name' | 'running'> & Partial<NodeView>)[];
    return listed.map((each) => ({ ...each, partitions: each.partitions ?? [] }));
  }

  async restore(signal?: AbortSignal): Promise<void> {
    for (const node of this.#nodes) node.resume();
    if (this.#partition.length > 0) await this.heal(signal);
    await Promise.all(this.#nodes.map((node) => node.start(signal)));
    let restartAt = performance.now();
    await this.#untilWhole(signal, async (views) => {
      const isHealing = views.includes(undefined) || this.#partitionHandling === 'autoheal';
      const restarted = this.#smallerSide(views);
      if (restarted.length === 0 || performance.now() < restartAt + (isHealing ? SELF_HEALING_MS : 0)) return;
      // Partitions in a view are several seconds old.
      restartAt = performance.now() + STALE_VIEW_MS;
      await Promise.all(restarted.map((node) => node.stop()));
      await Promise.all(restarted.map((node) => node.start(signal)));
    });
    if (this.#partitionHandling !== this.#configuredHandling) await this.handlePartitions(this.#configuredHandling);
  }

  async stop(): Promise<void> {
    await Promise.all(this.#nodes.map((node) => node.kill()));
  }

  /** The running nodes on both sides of a partition, and one of them for the commands. */
  #sides(nodes: readonly LocalRabbitMQ[]): { at: LocalRabbitMQ; here: LocalRabbitMQ[]; there: LocalRabbitMQ[] } {
    const running = this.#nodes.filter((node) => node.running());
    const here = running.filter((node) => nodes.includes(node));
    const there = running.filter((node) => !nodes.includes(node));
    const [at] = here;
    if (at === undefined || there.length === 0) throw new Error('A partition needs running nodes on both sides.');
    return { at, here, there };
  }

  async #untilWhole(
    signal: AbortSignal | undefined,
    repair: (views: readonly (readonly NodeView[] | undefined)[]) => Promise<void> = async () => undefined,
  ): Promise<void> {
    const until = performance.now() + CHANGE_TIMEOUT_MS;
    for (;;) {
      const views = await Promise.all(this.#nodes.map((node) => this.viewOf(node).catch(() => undefined)));
      if (views.every((view) => view !== undefined && isWhole(view, this.#nodes.length))) return;
      if (performance.now() > until) throw new Error(`The cluster is not whole: ${JSON.stringify(views)}`);
      await repair(views);
      await delay(100, undefined, signal === undefined ? {} : { signal });
    }
  }

  /** The smaller side of a split Mnesia; none while it is whole. */
  #smallerSide(views: readonly (readonly NodeView[] | undefined)[]): LocalRabbitMQ[] {
    const missed = views.flatMap((view) => view ?? []).find(({ partitions }) => partitions.length > 0)?.partitions;
    if (missed === undefined) return [];
    const there = this.#nodes.filter(({ nodeName: name }) => missed.includes(name));
    const here = this.#nodes.filter((node) => !there.includes(node));
    return here.length < there.length ? here : there;
  }

  #make(peers: readonly string[], epmdPort: number, ports: readonly number[]): LocalRabbitMQ {
    const { plugins = [], extraConfig = '', onProgress = () => undefined } = this.#options;
    const number = ++this.#made;
    const folder = join(this.folder, `node-${number}`);
    const [amqp = 0, management = 0, dist = 0] = ports;
    const identity: BrokerIdentity = {
      nodeName: nodeName(number),
      home: join(this.folder, 'home'),
      erlangArguments: ERLANG_ARGUMENTS,
      user: this.user,
      password: this.password,
      ports: { amqp, management, dist, epmd: epmdPort },
    };
    const installation = this.#installation;
    keepIdentity(folder, identity);
    writeBrokerFiles(folder, identity, {
      plugins,
      extraConfig: [
        `cluster_partition_handling = ${this.#configuredHandling}`,
        'cluster_formation.peer_discovery_backend = classic_config',
        ...peers.map((name, index) => `cluster_formation.classic_config.nodes.${index + 1} = ${name}`),
        extraConfig,
      ].join('\n'),
    });
    const env = brokerEnvironment(folder, identity, installation);
    this.#epmd ??= Object.assign(createEpmd({ folder: this.folder, port: epmdPort, installation, env }), {
      port: epmdPort,
    });
    return createNode({ folder, identity, installation, env, epmd: this.#epmd, onProgress });
  }
}

function nodeName(number: number): string {
  return `pulse-dev-${number}@localhost`;
}

function atoms(nodes: readonly LocalRabbitMQ[]): string {
  return `[${nodes.map(({ nodeName: name }) => `'${name}'`).join(',')}]`;
}

function disconnect(here: string, there: string): string {
  return `[rpc:call(X, erlang, disconnect_node, [Y]) || X <- ${here}, Y <- ${there}], ok.`;
}

function isWhole(view: readonly NodeView[], size: number): boolean {
  return view.length === size && view.every(({ running, partitions }) => running && partitions.length === 0);
}
