import type { AgentContext } from '../context.ts';
import { formatInstant } from '../contract/fields.ts';
import { accountNames } from '../namespaces/accounts/account-names.ts';
import type { Backoff } from '../namespaces/backoff.ts';
import { readNamespace, type ReadableNamespace } from '../namespaces/read-namespaces.ts';
import { activeSlot, forSlot, SLOT_NUMBERS, slotOf } from '../namespaces/slots.ts';
import type { NamespaceCounts } from '../queues/namespace-counts.ts';
import { compareByDepth, isInAlert } from '../queues/queue-report.ts';
import type { StoreReader } from '../store/store-reader.ts';
import { AgentError } from '../util/agent-errors.ts';
import { rejectAfter } from '../util/deadline.ts';
import { auditViewOf } from './audit-reads.ts';
import { namespaceCommands } from './commands-to-copy.ts';
import type { EndpointReads } from './endpoint.ts';
import { countsOf, namespaceRowOf } from './namespace-reads.ts';
import type { NamespaceAnswer } from './namespace-schemas.ts';
import { entryOf } from './namespace-table.ts';
import type { OthersFailing } from './others-failing.ts';
import { type PlanSteps, stepViews } from './plan-reads.ts';
import { queueRowOf } from './queue-reads.ts';
import type { QueueTable } from './queue-table.ts';
import { type Snapshot, valueOrUnknown } from './snapshot.ts';

interface NamespaceDetailParts extends Pick<AgentContext, 'config' | 'instance' | 'clock' | 'management'> {
  readonly store: Pick<StoreReader, 'namespaces' | 'audit'>;
  readonly queues: Snapshot<QueueTable>;
  readonly readCounts: NamespaceCounts;
  readonly plan: PlanSteps;
  readonly backoff: Pick<Backoff, 'failing'>;
  readonly othersFailing: Pick<OthersFailing, 'of'>;
}

const MAX_QUEUES = 100;
const MAX_CONNECTIONS = 100;
const AUDIT_RECORDS = 20;
/** In how many records the latest rotation is sought. */
const AUDIT_SOUGHT = 200;
const PLAN_HOURS = 31 * 24;
/** A page is not delayed for its connections longer than this, in ms. */
const PATIENCE_MS = 2_000;
const CREDENTIAL_ACTIONS: readonly string[] = ['rotation', 'revocation'];

/** Reads all that is known of one namespace. */
export function createReadNamespaceDetail(parts: NamespaceDetailParts): EndpointReads['namespace'] {
  const { config, instance, clock, store, queues, readCounts, plan, backoff, othersFailing } = parts;
  return async ({ name }, signal) => {
    const record = await readNamespace(store.namespaces, name);
    if (record === undefined) return undefined;
    const entry = entryOf(record);
    const [counts, table, audit, steps, openConnections] = await Promise.all([
      readCounts(),
      valueOrUnknown(queues),
      store.audit.list({ namespace: name, limit: AUDIT_SOUGHT }),
      plan(PLAN_HOURS, name, signal),
      readConnections(parts, name),
    ]);
    const own = (table?.byNamespace.get(name) ?? []).toSorted(compareByDepth);
    const newestFirst = audit.toReversed();
    const lastRotation = newestFirst.find(({ action }) => CREDENTIAL_ACTIONS.includes(action));
    return {
      at: formatInstant(clock.nowMs()),
      ...namespaceRowOf({ ...entry, counts: countsOf(entry, counts) }),
      generation: record.generation,
      accounts: accountViews(record, config.usernamePrefix),
      ...(lastRotation === undefined ? {} : { lastRotation: auditViewOf(lastRotation) }),
      ...revocationFields(record, clock.nowMs()),
      failures: [
        ...backoff.failing(name).map(({ work, failures, error, retryAtMs }) => ({
          work,
          failures,
          error: error instanceof AgentError ? error.code : 'InternalServerError',
          retryAt: formatInstant(retryAtMs),
          instance,
        })),
        ...othersFailing.of(name),
      ],
      ...(openConnections === undefined ? {} : { openConnections }),
      trendAt: (table?.trends.seenMs ?? []).map(formatInstant),
      queueRows: table === undefined ? [] : own.slice(0, MAX_QUEUES).map((row) => queueRowOf(row, table.trends)),
      planned: stepViews(steps, false),
      audit: newestFirst.slice(0, AUDIT_RECORDS).map(auditViewOf),
      exemptions: steps.exemptions.map(({ queue, untilMs, reason }) => ({
        queue,
        until: formatInstant(untilMs),
        ...(reason === null ? {} : { reason }),
      })),
      commands: namespaceCommands(
        entry,
        own.filter(isInAlert).map(({ queue }) => queue),
      ),
    };
  };
}

function accountViews(record: ReadableNamespace, usernamePrefix: string): NamespaceAnswer['accounts'] {
  const names = accountNames(usernamePrefix, record.namespace);
  return SLOT_NUMBERS.map((slot) => {
    const { generation, secretId, promisedUntilMs } = slotOf(record, slot);
    return {
      account: forSlot(names, slot),
      isActive: slot === activeSlot(record),
      generation,
      ...(secretId === '' ? {} : { secretId }),
      ...(promisedUntilMs === 0 ? {} : { promisedUntil: formatInstant(promisedUntilMs) }),
    };
  });
}

function revocationFields({ revokedMs, revokedUntilMs }: ReadableNamespace, nowMs: number) {
  return {
    ...(revokedUntilMs === null || revokedUntilMs <= nowMs ? {} : { refusedUntil: formatInstant(revokedUntilMs) }),
    ...(revokedMs === null ? {} : { revoked: formatInstant(revokedMs) }),
  };
}

/** The connections without their names, which have the addresses of clients. */
async function readConnections(
  { config, management }: Pick<NamespaceDetailParts, 'config' | 'management'>,
  namespace: string,
): Promise<NamespaceAnswer['openConnections']> {
  const accounts = accountNames(config.usernamePrefix, namespace);
  try {
    const listed = await rejectAfter(
      PATIENCE_MS,
      Promise.all(accounts.map((account) => management.listUserConnections(account))),
    );
    return listed
      .flatMap((connections, index) =>
        connections.map(({ connectedAtMs }) => ({ account: accounts[index] ?? '', connectedAtMs })),
      )
      .toSorted((a, b) => (a.connectedAtMs ?? Infinity) - (b.connectedAtMs ?? Infinity))
      .slice(0, MAX_CONNECTIONS)
      .map(({ account, connectedAtMs }) => ({
        account,
        ...(connectedAtMs === undefined ? {} : { since: formatInstant(connectedAtMs) }),
      }));
  } catch {
    return undefined;
  }
}
