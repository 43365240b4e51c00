import { namespaceOfAccount } from '../src/contract/names.ts';
import type { RunContext } from './run-context.ts';
import { Violation } from './violation.ts';
import { PREFIX } from './settings.ts';
import { pause } from './pause.ts';

/** Longer than the statistics of RabbitMQ may be old, in ms: a closed connection stays in the listing for so long. */
const EVERY_MS = 8_000;

/** Something on the broker that belongs to a namespace. */
export interface Owned {
  readonly namespace: string;
  /** Its kind and its name. */
  readonly what: string;
}

interface Named {
  readonly name: string;
}

interface ListedBinding {
  readonly source: string;
  readonly destination: string;
}

/** Everything on the broker that belongs to a namespace; undefined when a listing failed, and nothing is known. */
export async function listOwned({ world }: Pick<RunContext, 'world'>): Promise<Owned[] | undefined> {
  const { admin } = world;
  const [users, queues, exchanges, bindings, connections] = await Promise.all([
    admin.list<Named>('/users?columns=name'),
    admin.list<Named>('/queues/%2F?disable_stats=true&columns=name'),
    admin.list<Named>('/exchanges/%2F?columns=name'),
    admin.list<ListedBinding>('/bindings/%2F?columns=source,destination'),
    admin.list<{ readonly user?: string }>('/connections?columns=user'),
  ]);
  if (users === undefined || queues === undefined || exchanges === undefined) return undefined;
  if (bindings === undefined || connections === undefined) return undefined;
  return [
    ...users.flatMap(({ name }) => owned('account', ofAccount(name), name)),
    ...queues.flatMap(({ name }) => owned('queue', ofObject(name), name)),
    ...exchanges.flatMap(({ name }) => owned('exchange', ofObject(name), name)),
    ...bindings.flatMap(({ source, destination }) => [
      ...owned('binding from', ofObject(source), source),
      ...owned('binding into', ofObject(destination), destination),
    ]),
    ...connections.flatMap(({ user = '' }) => owned('connection of', ofAccount(user), user)),
  ];
}

function owned(kind: string, namespace: string | undefined, name: string): Owned[] {
  return namespace === undefined ? [] : [{ namespace, what: `${kind} ${name}` }];
}

/** The namespace of an account, by its name. */
export function ofAccount(user: string): string | undefined {
  return namespaceOfAccount({ usernamePrefix: '', namespacePrefix: PREFIX }, user);
}

/** The namespace of a queue or an exchange, by its name. */
export function ofObject(name: string): string | undefined {
  const namespace = /^(?:queue|exchange)\/([^/]+)\//.exec(name)?.[1];
  return namespace?.startsWith(PREFIX) ? namespace : undefined;
}

/**
 * What belongs to no namespace.
 *
 * @param before the namespaces that existed right before the listing
 * @param after and right after it: one of both suffices, because a claim or a deletion may have been under way
 */
export function leftovers(all: readonly Owned[], before: ReadonlySet<string>, after: ReadonlySet<string>): Owned[] {
  return all.filter(({ namespace }) => !before.has(namespace) && !after.has(namespace));
}

/**
 * Looks for what is left of namespaces that no longer exist. It reports what two looks in a row find: the statistics of
 * RabbitMQ are some seconds old.
 */
export async function watchLeftovers(context: RunContext, signal: AbortSignal): Promise<void> {
  let suspects = new Set<string>();
  while (!signal.aborted) {
    await pause(EVERY_MS, signal);
    if (signal.aborted) return;
    const found = await look(context);
    if (found === undefined) continue;
    context.figures.count('looks for leftovers');
    const repeated = found.filter(({ what }) => suspects.has(what));
    const [first] = repeated;
    if (first !== undefined) {
      const all = repeated.map(({ what }) => what).join(', ');
      context.report(new Violation('deletion', `Of a deleted namespace is left: ${all}.`, [first.namespace]));
    }
    suspects = new Set(found.map(({ what }) => what));
  }
}

async function look(context: RunContext): Promise<Owned[] | undefined> {
  const before = await context.registry.list();
  const all = before && (await listOwned(context));
  const after = all && (await context.registry.list());
  return before && all && after && leftovers(all, before, after);
}
