import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { inspect } from 'node:util';
import * as amqp from 'amqplib';
import type { Agent } from '../../src/agent/agent.ts';
import { accountNames } from '../../src/namespaces/accounts/account-names.ts';
import { NEWCOMER, REVOKER, TEAM, teamNamespace, type TestInstallation, withPort } from '../support/agent.ts';
import { cutConnections, manage } from '../support/broker.ts';
import { addCleanup } from '../support/cleanup.ts';
import { makeCertificates } from '../support/certificates.ts';
import { unique } from '../support/folders.ts';
import type { TcpRelay } from '../support/tcp-relay.ts';
import { makeTlsRelay } from '../support/tls-relay.ts';
import { CommandFailed, type Driver } from './driver.ts';
import { mismatch } from './matching.ts';
import type { ClientSettings, JsonObject, Situation, Step } from './situations.ts';
import type { Trace, TracedRequest } from './traced-requests.ts';

/** With what a situation is played. */
export interface Stage {
  readonly driver: Driver;
  readonly installation: TestInstallation;
  /** The one that runs. */
  agent: Agent;
  readonly trace: Trace;
  /** Between the clients of this situation and RabbitMQ. */
  readonly relay: TcpRelay;
}

/** Sooner than an idle connection closes. */
const CLOSED_WITHIN_MS = 15_000;

type Ended = { readonly result: unknown } | { readonly error: unknown };

/** Plays a situation. @throws the first failure, which names its step */
export async function playSituation(situation: Situation, stage: Stage): Promise<void> {
  const play = new Play(stage);
  let title = 'the clients';
  try {
    for (const [name, settings] of Object.entries(situation.clients)) await play.open(name, settings);
    for (const [index, step] of situation.steps.entries()) {
      title = `step ${index + 1}, ${JSON.stringify(step)}`;
      await play.step(step);
    }
  } catch (error) {
    throw new Error(`In ${title}: ${error instanceof Error ? error.message : inspect(error)}`, { cause: error });
  } finally {
    await play.close();
  }
}

class Play {
  readonly #stage: Stage;
  /** Other situations use the same driver, and the same names. */
  readonly #prefix = `${unique('situation')}.`;
  readonly #saved = new Map<string, unknown>();
  readonly #begun = new Map<string, Promise<Ended>>();
  readonly #clients = new Set<string>();
  readonly #ownClients = new Map<string, { readonly clientId: string; readonly accessToken: string }>();
  /** How many events of a lease have been taken. */
  readonly #taken = new Map<string, number>();
  /** When the command was sent that made the lease. */
  readonly #leasedMs = new Map<string, number>();
  #isOver = false;

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  async open(name: string, settings: ClientSettings): Promise<void> {
    const { installation, driver } = this.#stage;
    const { config } = installation;
    const credentials = this.#credentialsOf(name, settings.as ?? 'team');
    const command = {
      do: 'open',
      client: this.#prefix + name,
      agentId: config.id,
      audience: config.audience,
      ...(credentials === undefined ? {} : { credentials }),
      ...(await this.#addressOf(name, settings)),
      ...(this.#filled(settings.options ?? {}) as JsonObject),
    };
    await driver.send(command);
    this.#clients.add(name);
  }

  #credentialsOf(name: string, as: NonNullable<ClientSettings['as']>): object | undefined {
    const { taskcluster } = this.#stage.installation;
    if (as === 'none') return undefined;
    if (as !== 'own') return taskcluster.credentials({ team: TEAM, newcomer: NEWCOMER, revoker: REVOKER }[as]);
    const own = { clientId: `team/${unique('own')}`, accessToken: randomBytes(20).toString('hex') };
    this.#ownClients.set(name, own);
    this.#setScopes(name, ['pulse:namespace:taskcluster-team*']);
    return own;
  }

  #setScopes(name: string, scopes: readonly string[]): void {
    const own = this.#ownClients.get(name);
    assert.ok(own !== undefined, `The client ${name} is not "own".`);
    this.#stage.installation.taskcluster.setClient({ ...own, scopes: [...scopes] });
  }

  async #addressOf(
    name: string,
    { claimant, url: parts, firstAddress, tls }: ClientSettings,
  ): Promise<{ url: string; ca?: string }> {
    const { relay, installation } = this.#stage;
    const url = new URL(withPort(installation.claimantUrl, relay.port));
    Object.assign(url, claimant === 'own' ? await this.#makeClaimant(name) : {}, parts);
    if (tls === undefined) {
      // Nothing listens on port 1.
      const down = firstAddress === 'down' ? `${withPort(url.href, 1)},` : '';
      return { url: down + url.href };
    }
    const certificates = makeCertificates();
    const port = await makeTlsRelay(relay.port, certificates);
    const { ca } = tls === 'trusted' ? certificates : makeCertificates();
    return { url: withPort(url.href.replace('amqp:', 'amqps:'), port), ca };
  }

  async step(step: Step): Promise<void> {
    if (step.do !== undefined) await this.#do(step);
    else if (step.finish !== undefined) await this.#finish(step);
    else if (step.event !== undefined) await this.#event(step);
    else if (step.agent !== undefined) await this.#agent(step.agent);
    else if (step.network !== undefined) this.#stage.relay[step.network]();
    else if (step.broker !== undefined) await this.#cutConnections();
    else if (step.deleteAccounts !== undefined) await this.#deleteAccounts(String(this.#filled(step.deleteAccounts)));
    else if (step.deleteClaimant !== undefined) await this.#deleteClaimant(step.deleteClaimant);
    else if (step.scopes !== undefined) this.#setScopes(step.client ?? '', step.scopes);
    else if (step.connect !== undefined) await this.#connect(String(this.#filled(step.connect)), step);
    else if (step.requests !== undefined) await this.#requests(step.requests, step);
    else if (step.renewalOf !== undefined) await this.#renewal(step.renewalOf, step.notBefore ?? 0);
    else if (step.connections !== undefined) await this.#connections(step.connections);
    else if (step.let !== undefined) this.#let(step.let);
    else if (step.passed !== undefined) this.#passed(String(this.#filled(step.passed)));
    else if (step.exit !== undefined) await this.#exit(step.exit);
    else throw new Error('The step has no known field.');
  }

  async #do(step: Step): Promise<void> {
    const { do: name = '', client, lease, begin } = step;
    const command = {
      ...(this.#filled(step.with ?? {}) as JsonObject),
      do: name,
      ...(client === undefined ? {} : { client: this.#prefix + client }),
      ...(lease === undefined ? {} : { lease: this.#prefix + lease }),
    };
    if (name === 'lease') this.#leasedMs.set(lease ?? '', Date.now());
    const ended = this.#stage.driver.send(command).then(
      (result): Ended => ({ result }),
      (error: unknown): Ended => ({ error }),
    );
    if (begin !== undefined) this.#begun.set(begin, ended);
    else this.#check(step, await ended);
    if (name === 'close') this.#clients.delete(client ?? '');
  }

  async #finish(step: Step): Promise<void> {
    const ended = this.#begun.get(step.finish ?? '');
    assert.ok(ended !== undefined, `Nothing was begun as ${step.finish}.`);
    this.#check(step, await ended);
  }

  #check(step: Step, ended: Ended): void {
    if ('error' in ended) {
      if (step.fails === undefined || !(ended.error instanceof CommandFailed)) throw ended.error;
      this.#expect(step, ended.error.error, step.fails);
    } else {
      assert.equal(step.fails, undefined, `It did not fail: ${inspect(ended.result)}`);
      this.#expect(step, ended.result, step.gives ?? {});
    }
  }

  #expect(step: Step, value: unknown, expected: unknown): void {
    if (step.save !== undefined) this.#saved.set(step.save, value);
    const fault = mismatch(value, this.#filled(expected));
    assert.equal(fault, undefined, fault);
  }

  async #event(step: Step): Promise<void> {
    const lease = step.lease ?? '';
    for (;;) {
      const taken = this.#taken.get(lease) ?? 0;
      const event = await this.#stage.driver.nextEvent(this.#prefix + lease, taken);
      this.#taken.set(lease, taken + 1);
      if (event.event === step.event && mismatch(event, this.#filled(step.where ?? {})) === undefined) {
        this.#expect(step, event, step.gives ?? {});
        return;
      }
      if (event.event === 'lost') throw new Error(`The lease is lost: ${JSON.stringify(event)}`);
    }
  }

  async #agent(what: 'stop' | 'start'): Promise<void> {
    if (what === 'stop') await this.#stage.agent.stop();
    else this.#stage.agent = await this.#stage.installation.start();
  }

  async #cutConnections(): Promise<void> {
    const { broker, names } = this.#stage.installation;
    await cutConnections(broker, names.claimantUser);
  }

  async #deleteAccounts(namespace: string): Promise<void> {
    const { broker, config } = this.#stage.installation;
    for (const account of accountNames(config.usernamePrefix, namespace)) {
      await manage(broker, 'DELETE', `/users/${encodeURIComponent(account)}`, undefined, [404]);
    }
  }

  /** The agent does not repair it. */
  async #makeClaimant(client: string): Promise<{ username: string; password: string }> {
    const { broker, config } = this.#stage.installation;
    const claimant = { username: unique('claimant'), password: unique('password') };
    this.#saved.set(`claimant of ${client}`, claimant.username);
    await manage(broker, 'PUT', `/users/${claimant.username}`, { password: claimant.password, tags: '' });
    addCleanup(async () => {
      await manage(broker, 'DELETE', `/users/${claimant.username}`, undefined, [404]);
    });
    const permissions = { configure: '', write: '^rpc/.*$', read: '' };
    const vhost = encodeURIComponent(config.requestVhost);
    await manage(broker, 'PUT', `/permissions/${vhost}/${claimant.username}`, permissions);
    return claimant;
  }

  async #deleteClaimant(client: string): Promise<void> {
    const { broker } = this.#stage.installation;
    const claimant = String(this.#saved.get(`claimant of ${client}`));
    await manage(broker, 'DELETE', `/users/${claimant}`);
    await cutConnections(broker, claimant);
  }

  async #connect(connectionString: string, { opens = true, queue }: Step): Promise<void> {
    try {
      const connection = await amqp.connect(connectionString);
      if (queue !== undefined) {
        const channel = await connection.createChannel();
        await channel.assertQueue(String(this.#filled(queue)));
      }
      await connection.close();
    } catch (error) {
      if (!opens && /ACCESS.REFUSED/.test(String(error))) return;
      throw error;
    }
    assert.ok(opens, 'RabbitMQ accepts the connection.');
  }

  async #requests(method: string, { of, count, atLeast = count ?? 1, differ = [] }: Step): Promise<void> {
    const { trace } = this.#stage;
    const requests = await trace.until(
      () => (this.#requestsOf(method, of).length < atLeast ? undefined : this.#requestsOf(method, of)),
      () => `RabbitMQ got ${this.#requestsOf(method, of).length} requests, and not ${atLeast}.`,
    );
    assert.equal(requests.length, count ?? requests.length);
    for (const field of differ) {
      const values = requests.map((request) => request[field]);
      assert.ok(
        values.every((value) => value !== undefined) && new Set(values).size === values.length,
        inspect(values),
      );
    }
  }

  #requestsOf(method: string, of = '$namespace'): TracedRequest[] {
    const namespace = this.#filled(of);
    const { requests } = this.#stage.trace;
    return requests.filter((request) => request.method === method && request.body['namespace'] === namespace);
  }

  async #renewal(lease: string, share: number): Promise<void> {
    const { trace } = this.#stage;
    const find = (): TracedRequest | undefined => {
      const claims = this.#requestsOf('claim-namespace');
      const ids = new Set(claims.map(({ correlationId }) => correlationId));
      const answered = trace.replies.findIndex(
        ({ correlationId, type }) => type === 'result' && ids.has(correlationId),
      );
      return answered === -1 ? undefined : claims.find(({ repliesBefore }) => repliesBefore > answered);
    };
    const { seenMs } = await trace.until(find, () => `The lease ${lease} is not renewed.`);
    const { reclaimAt } = this.#saved.get(lease) as { reclaimAt: string };
    const leasedMs = this.#leasedMs.get(lease) ?? NaN;
    const earliestMs = leasedMs + share * (Date.parse(reclaimAt) - leasedMs);
    assert.ok(seenMs >= earliestMs, `The renewal came ${earliestMs - seenMs} ms early.`);
  }

  async #connections(count: number): Promise<void> {
    const { relay } = this.#stage;
    const late = { signal: AbortSignal.timeout(CLOSED_WITHIN_MS) };
    while (relay.open() !== count) {
      await once(relay.connections, 'change', late).catch(() =>
        assert.fail(`The clients have ${relay.open()} connections.`),
      );
    }
  }

  #let(values: JsonObject): void {
    for (const [name, value] of Object.entries(values)) this.#saved.set(name, this.#filled(value));
  }

  #passed(instant: string): void {
    assert.ok(Date.now() >= Date.parse(instant), `It is too early: ${instant} has not come.`);
  }

  async #exit(code: number): Promise<void> {
    this.#isOver = true;
    const { status, stderr } = await this.#stage.driver.end();
    assert.deepEqual({ status, stderr }, { status: code, stderr: '' });
  }

  /** Closes the clients, without another failure. */
  async close(): Promise<void> {
    for (const name of this.#isOver ? [] : this.#clients) {
      await this.#stage.driver.send({ do: 'close', client: this.#prefix + name }).catch(() => undefined);
    }
    await Promise.all(this.#begun.values());
  }

  /** A value with what stands for each reference in it. */
  #filled(value: unknown): unknown {
    if (Array.isArray(value)) return value.map((each) => this.#filled(each));
    if (typeof value === 'object' && value !== null) {
      return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, this.#filled(each)]));
    }
    if (typeof value !== 'string') return value;
    const whole = /^\$([a-z][\w.]*)$/i.exec(value)?.[1];
    if (whole !== undefined) return this.#referred(whole);
    return value
      .replace(/\$now\+(\d+)(s|h)/g, (_, amount: string, unit: string) =>
        new Date(Date.now() + Number(amount) * { s: 1000, h: 3_600_000 }[unit as 's' | 'h']).toISOString(),
      )
      .replace(/\$([a-z][\w.]*)/gi, (_, name: string) => String(this.#referred(name)));
  }

  #referred(reference: string): unknown {
    const [name = '', ...path] = reference.split('.');
    if (!this.#saved.has(name) && /^namespace\d*$/.test(name)) this.#saved.set(name, teamNamespace());
    assert.ok(this.#saved.has(name), `Nothing is saved as ${name}.`);
    return path.reduce((value, field) => (value as Record<string, unknown>)[field], this.#saved.get(name));
  }
}
