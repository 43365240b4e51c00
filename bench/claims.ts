import { randomBytes } from 'node:crypto';
import { request as httpRequest, Agent as HttpAgent } from 'node:http';
import { join } from 'node:path';
import { HASHING_ALGORITHM } from '../src/broker/management/management.ts';
import { hashPassword } from '../src/broker/password-hash.ts';
import { signedResource } from '../src/contract/signature.ts';
import { generateReplyKey } from '../src/contract/sealing.ts';
import { permissionsOf } from '../src/namespaces/accounts/account-names.ts';
import { Secret } from '../src/util/secret.ts';
import { type Load, load, median, withWarmUp } from './load.ts';
import { startProcess } from './processes.ts';
import { assertResult, openRequester, type Prepared, prepareEcho, prepareRequest, type Requester } from './requests.ts';
import type { Site } from './site.ts';
import type { Row } from './table.ts';

/** How often each pair of runs is repeated; the median of the ratios counts. */
const ROUNDS = 3;

let lastName = 0;
function newName(): string {
  lastName += 1;
  return `taskcluster-bench-${lastName}`;
}

/** Measures claims, each against a limit that is measured right before or after it. */
export async function measureClaims(site: Site, progress: (line: string) => void): Promise<Row[]> {
  const rows: Row[] = [];
  const requester = await openRequester(site.requestAmqpUrl);
  // The agent's account may declare no other queues there.
  const queue = 'queue/pulse-agent/v1/echo';
  const echo = await startProcess('echo-process.ts', { BENCH_AMQP_URL: site.requestAmqpUrl, BENCH_QUEUE: queue });
  try {
    for (const auth of ['in-process', 'http'] as const) {
      const env = { ...site.agentEnvironment(`lmdb:${join(site.folder, 'store')}`), BENCH_AUTH: auth };
      const agent = await startProcess('agent-process.ts', env);
      try {
        if (auth === 'in-process') {
          progress('new claims, 32 concurrent');
          rows.push(await concurrentNewClaims(site, requester));
          progress('new claims, one at a time');
          rows.push(await sequentialNewClaims(site, requester, queue));
          progress('re-claims, 256 in flight');
          rows.push(...(await reclaimsInFlight(site, requester, queue)));
        } else {
          progress('re-claims, 32 concurrent, auth over HTTP');
          rows.push(await reclaimsOverHttp(site, requester));
        }
      } finally {
        await agent.stop();
      }
    }
  } finally {
    await echo.stop();
    await requester.close();
  }
  return rows;
}

/** Signs claims of these namespaces. */
function prepareClaims(site: Site, names: readonly string[], extra: object = {}): Prepared[] {
  return names.map((namespace) => prepareRequest('claim-namespace', { namespace, ...extra }, site.credentials));
}

/** Sends prepared claims. */
export async function runClaims(
  requester: Requester,
  messages: readonly Prepared[],
  { count, concurrency }: { count: number; concurrency: number },
): Promise<Load> {
  return await load({ count, concurrency }, async (index) => assertResult(await requester.send(messages[index])));
}

/** The vhosts of a bench installation. */
const RAW_CONFIG = { id: 'pulse-agent', vhost: '/', requestVhost: 'pulse-agent' };

async function rawProvision(site: Site): Promise<void> {
  const name = `raw-${newName()}`;
  const password = new Secret(randomBytes(32).toString('base64url'));
  const passwordHash = hashPassword(password, randomBytes(4));
  await Promise.all([site.management.getUser(`${name}-1`), site.management.getUser(`${name}-2`)]);
  await site.management.putUser(name, { passwordHash, hashingAlgorithm: HASHING_ALGORITHM, tags: [] });
  const permissions = Object.entries(permissionsOf(RAW_CONFIG, name));
  await Promise.all(permissions.map(([vhost, granted]) => site.management.putPermissions(vhost, name, granted)));
}

async function concurrentNewClaims(site: Site, requester: Requester): Promise<Row> {
  const size = { count: 1500, concurrency: 32 };
  const pairs: [Load, Load][] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const claims = prepareClaims(site, Array.from({ length: withWarmUp(size.count) }, newName));
    const raw = await load(size, () => rawProvision(site));
    pairs.push([await runClaims(requester, claims, size), raw]);
  }
  return {
    what: 'new claims, 32 concurrent',
    measured: rate(pairs.map(([ours]) => ours)),
    limit: `raw GET of both users, PUT user + PUT permissions, 32 concurrent: ${rate(pairs.map(([, raw]) => raw))}`,
    ratio: median(pairs.map(([ours, raw]) => ours.perSecond / raw.perSecond)),
    atLeast: 0.8,
  };
}

async function sequentialNewClaims(site: Site, requester: Requester, queue: string): Promise<Row> {
  const size = { count: 300, concurrency: 1 };
  const ratios: number[] = [];
  let last = '';
  for (let round = 0; round < ROUNDS; round += 1) {
    const claims = prepareClaims(site, Array.from({ length: withWarmUp(size.count) }, newName));
    const echoes = Array.from({ length: withWarmUp(size.count) }, () => prepareEcho(queue));
    const raw = await load(size, () => rawProvision(site));
    const echo = await load(size, (index) => requester.send(echoes[index]));
    const ours = await runClaims(requester, claims, size);
    ratios.push(ours.p50Ms / (raw.p50Ms + echo.p50Ms));
    last = `${ours.p50Ms.toFixed(2)} ms|echo ${echo.p50Ms.toFixed(2)} ms + two PUTs ${raw.p50Ms.toFixed(2)} ms`;
  }
  const [measured = '', limit = ''] = last.split('|');
  return { what: 'new claim, one at a time, p50', measured, limit, ratio: median(ratios), atMost: 1.3 };
}

async function reclaimsInFlight(site: Site, requester: Requester, queue: string): Promise<Row[]> {
  const size = { count: 8000, concurrency: 256 };
  const names = Array.from({ length: 1000 }, newName);
  await runClaims(requester, prepareClaims(site, names), { count: 900, concurrency: 32 });
  const namesOf = (): string[] =>
    Array.from({ length: withWarmUp(size.count) }, (_, index) => names[index % 990] ?? '');
  const replyKey = generateReplyKey().publicKey;
  const pairs: [Load, Load, Load][] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const plain = prepareClaims(site, namesOf());
    const sealed = prepareClaims(site, namesOf(), { replyKey });
    const echoes = Array.from({ length: withWarmUp(size.count) }, () => prepareEcho(queue));
    const raw = await load(size, (index) => requester.send(echoes[index]));
    const ours = await runClaims(requester, plain, size);
    pairs.push([ours, raw, await runClaims(requester, sealed, size)]);
  }
  const limit = `quorum echo, 256 in flight: ${rate(pairs.map(([, raw]) => raw))}`;
  return [
    {
      what: 're-claims, 256 in flight, auth in process, LMDB, unsealed',
      measured: rate(pairs.map(([ours]) => ours)),
      limit,
      ratio: median(pairs.map(([ours, raw]) => ours.perSecond / raw.perSecond)),
      atLeast: 0.5,
    },
    {
      what: 'the same, sealed',
      measured: rate(pairs.map(([, , sealed]) => sealed)),
      limit,
      ratio: median(pairs.map(([, raw, sealed]) => sealed.perSecond / raw.perSecond)),
    },
  ];
}

async function reclaimsOverHttp(site: Site, requester: Requester): Promise<Row> {
  const size = { count: 2000, concurrency: 32 };
  const names = Array.from({ length: 500 }, newName);
  await runClaims(requester, prepareClaims(site, names), { count: 450, concurrency: 32 });
  const keepAlive = new HttpAgent({ keepAlive: true, maxSockets: 32 });
  const pairs: [Load, Load][] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const claims = prepareClaims(
      site,
      Array.from({ length: withWarmUp(size.count) }, (_, i) => names[i % 490] ?? ''),
    );
    const bodies = claims.map((claim) =>
      JSON.stringify({
        method: 'post',
        resource: signedResource('claim-namespace', 'amq.rabbitmq.reply-to', claim.correlationId),
        host: 'pulse-agent',
        port: 443,
        authorization: claim.headers['authorization'],
      }),
    );
    const raw = await load(size, (index) => post(site.taskclusterUrl, bodies[index] ?? '', keepAlive));
    pairs.push([await runClaims(requester, claims, size), raw]);
  }
  keepAlive.destroy();
  return {
    what: 're-claims, 32 concurrent, auth over HTTP',
    measured: rate(pairs.map(([ours]) => ours)),
    limit: `raw authenticateHawk, 32 concurrent: ${rate(pairs.map(([, raw]) => raw))}`,
    ratio: median(pairs.map(([ours, raw]) => ours.perSecond / raw.perSecond)),
    atLeast: 0.9,
  };
}

/** Calls the auth service without a client library. */
async function post(rootUrl: string, body: string, agent: HttpAgent): Promise<void> {
  const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
  const answer = await new Promise<string>((resolve, reject) => {
    const sent = httpRequest(
      `${rootUrl}/api/auth/v1/authenticate-hawk`,
      { method: 'POST', agent, headers },
      (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          text += chunk;
        });
        response.on('end', () => resolve(text));
      },
    );
    sent.on('error', reject);
    sent.end(body);
  });
  if (!answer.includes('"auth-success"')) throw new Error(`The auth service answered ${answer}`);
}

function rate(loads: readonly Load[]): string {
  return `${Math.round(median(loads.map(({ perSecond }) => perSecond)))}/s`;
}
