import { createInterface } from 'node:readline';
import type { MethodName } from '../../src/contract/methods.ts';
import { WireError, type WireErrorCode } from '../../src/contract/wire-errors.ts';
import { ClockSkew, NoReply, PulseAgentError, Unavailable } from '../../src/client/client-errors.ts';
import type { ClaimedLimits } from '../../src/contract/queue-limits-field.ts';
import { type CallOptions, type ClaimRequest, PulseAgentClient } from '../../src/client/client.ts';
import type { ClientOptions } from '../../src/client/client-options.ts';
import {
  decideAfterFailure,
  decideRenewal,
  type FailedRenewal,
  type HeldClaim,
} from '../../src/client/decide-lease.ts';
import { decideRetry, type FailedAttempt } from '../../src/client/decide-retry.ts';
import type { Lease } from '../../src/client/lease.ts';
import { systemTime } from '../../src/client/time.ts';

// The driver of the library in TypeScript; those of other languages do the same. driver.ts has the commands.

/** The fields of a command; those that belong to it are there. */
interface Fields {
  readonly client: string;
  readonly lease: string;
  readonly namespace: string;
  readonly expires?: string;
  readonly contact?: string | null;
  readonly queueLimits?: ClaimedLimits | null;
  readonly until?: string;
  readonly pageSize?: number;
  readonly timeoutMs?: number;
  readonly release?: boolean;
  readonly agentId: string;
  readonly clockAheadMs?: number;
  readonly aheadMs: number;
}

const clients = new Map<string, PulseAgentClient>();
const clocks = new Map<string, { aheadMs: number }>();
const leases = new Map<string, Lease>();

const COMMANDS: Readonly<Record<string, (fields: Fields) => unknown>> = {
  open({ client: name, clockAheadMs: aheadMs = 0, agentId: id, ...options }) {
    const clock = { aheadMs };
    const time = { ...systemTime, nowMs: () => Date.now() + clock.aheadMs };
    clocks.set(name, clock);
    clients.set(name, new PulseAgentClient({ ...(options as ClientOptions), id, time }));
    return {};
  },
  'set-clock'({ client, aheadMs }) {
    clocks.set(client, Object.assign(clocks.get(client) ?? {}, { aheadMs }));
    return {};
  },
  ping: (fields) => clientOf(fields).ping(callOf(fields)),
  claim: (fields) => clientOf(fields).claimNamespace(requestOf(fields), callOf(fields)),
  get: (fields) => clientOf(fields).getNamespace(fields.namespace, callOf(fields)),
  describe: (fields) => clientOf(fields).describeNamespace(fields.namespace, callOf(fields)),
  async list({ pageSize, ...fields }) {
    const options = { ...callOf(fields), ...(pageSize === undefined ? {} : { pageSize }) };
    const namespaces = [];
    for await (const namespace of clientOf(fields).listNamespaces(options)) namespaces.push(namespace);
    return { namespaces };
  },
  release: (fields) => clientOf(fields).releaseNamespace(fields.namespace, callOf(fields)),
  revoke({ until, ...fields }) {
    const options = { ...callOf(fields), ...(until === undefined ? {} : { until }) };
    return clientOf(fields).revokeNamespace(fields.namespace, options);
  },
  async lease(fields) {
    const { lease: name } = fields;
    const lease = await clientOf(fields).lease(requestOf(fields), callOf(fields));
    leases.set(name, lease);
    lease.on('renewed', (data) => print({ ...data, event: 'renewed', lease: name }));
    lease.on('failing', (data) => print({ ...data, event: 'failing', lease: name, error: errorOf(data.error) }));
    lease.on('lost', (error) => print({ event: 'lost', lease: name, error: errorOf(error) }));
    return heldBy(lease);
  },
  held: (fields) => heldBy(leaseOf(fields)),
  credentials: (fields) => leaseOf(fields).credentials(),
  async stop({ release = false, ...fields }) {
    await leaseOf(fields).stop({ release });
    return {};
  },
  async close(fields) {
    await clientOf(fields).close();
    return {};
  },
  'decide-renewal': (fields) => {
    const { random, ...held } = fields as unknown as HeldClaim & { random: number };
    return { atMs: decideRenewal(held, random) };
  },
  'decide-after-failure': (fields) => {
    const { held, ...failed } = fields as unknown as FailedRenewal & { held: HeldClaim };
    return decideAfterFailure(held, failed);
  },
  'decide-retry': (fields) => {
    const {
      method,
      code,
      retryable,
      details = {},
      noReply,
      ...failed
    } = fields as unknown as FailedAttempt & {
      method: MethodName;
      code: WireErrorCode;
      retryable: boolean;
      details?: Record<string, unknown>;
      noReply?: boolean;
    };
    const error = noReply === true ? new NoReply('') : new WireError(code, '', { retryable, details });
    return { pauseMs: decideRetry({ ...failed, method, error }) ?? null };
  },
};

function clientOf({ client: name }: Pick<Fields, 'client'>): PulseAgentClient {
  const client = clients.get(name);
  if (client === undefined) throw new Error(`There is no client ${name}.`);
  return client;
}

function leaseOf({ lease: name }: Pick<Fields, 'lease'>): Lease {
  const lease = leases.get(name);
  if (lease === undefined) throw new Error(`There is no lease ${name}.`);
  return lease;
}

function callOf({ timeoutMs }: Pick<Fields, 'timeoutMs'>): CallOptions {
  return timeoutMs === undefined ? {} : { timeoutMs };
}

function requestOf({ namespace, expires, contact, queueLimits }: Fields): ClaimRequest {
  const given = {
    ...(expires === undefined ? {} : { expires }),
    ...(contact === undefined ? {} : { contact }),
    ...(queueLimits === undefined ? {} : { queueLimits }),
  };
  return { namespace, ...given };
}

function heldBy({ connectionString, connectionStrings, reclaimAt, expires }: Lease): object {
  return { connectionString, connectionStrings, reclaimAt, expires };
}

/** @throws the error itself if it is none of the library: the driver then ends */
function errorOf(error: unknown): object {
  if (!(error instanceof PulseAgentError)) throw error;
  const { name: type, code, retryable, message, details } = error;
  return {
    type,
    code,
    retryable,
    message,
    details,
    ...(error instanceof ClockSkew ? { aheadMs: error.aheadMs } : {}),
    ...(error instanceof Unavailable ? { mayHaveActed: error.mayHaveActed } : {}),
  };
}

function print(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

async function run(line: string): Promise<void> {
  const { id, do: name, ...fields } = JSON.parse(line) as Fields & { readonly id: number; readonly do: string };
  const command = COMMANDS[name];
  if (command === undefined) throw new Error(`There is no command ${name}.`);
  try {
    print({ id, result: await command(fields) });
  } catch (error) {
    print({ id, error: errorOf(error) });
  }
}

const input = createInterface({ input: process.stdin });
input.on('line', (line) => void run(line));
input.once('close', () => {
  for (const client of clients.values()) void client.close();
});
