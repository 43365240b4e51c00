import { type DirectRevoker, openDirectRevoker } from '../agent/direct-revocation.ts';
import { lateRevocation } from './await-revocation.ts';
import { loadConfig } from '../config/config.ts';
import { type CommandContext, UsageFault } from './define-command.ts';
import { EXIT } from './exit-codes.ts';
import { explainError } from './explain-error.ts';
import { waitFor } from './wait-for.ts';

/** The options of `revoke --direct` and `revoke --all`. */
export interface DirectRevocationOptions {
  /** In ISO 8601: claims are refused until then. */
  readonly until: string | undefined;
  /** Confirms the revocation; without it nothing is done. */
  readonly yes: boolean;
  /** How long to wait until the revocation of one namespace is complete, in ms; undefined: not at all. */
  readonly waitMs?: number | undefined;
}

/**
 * Revokes one namespace on store and broker, with the configuration of an agent; no request and no running agent are
 * needed.
 *
 * @throws UsageFault unless it is confirmed; AgentError
 */
export async function revokeOneDirectly(
  namespace: string,
  { until, yes, waitMs }: DirectRevocationOptions,
  { env, output, signal }: CommandContext,
): Promise<{ readonly namespace: string; readonly revokedUntil?: string }> {
  const revoker = await openDirectRevoker(loadConfig(env), 'pulse-agent revoke --direct', signal);
  try {
    if (!yes) throw confirmationFault(namespace);
    const untilMs = until === undefined ? undefined : Date.parse(until);
    await revoker.one(namespace, untilMs, signal);
    await revoker.record(namespace, untilMs);
    if (waitMs !== undefined) {
      output.note(`The credentials of ${namespace} are revoked; waiting until no old one can open a connection.`);
      const late = lateRevocation(namespace);
      await waitFor(() => revoker.finish(namespace, signal), { limitMs: waitMs, late, signal });
    }
    return { namespace, ...(until === undefined ? {} : { revokedUntil: until }) };
  } finally {
    await revoker.close();
  }
}

/**
 * Revokes all namespaces as {@link revokeOneDirectly} does one, and prints progress and result.
 *
 * @param after only those after this name
 * @throws UsageFault unless it is confirmed; AgentError
 */
export async function revokeAllDirectly(
  after: string | undefined,
  options: DirectRevocationOptions,
  context: CommandContext,
): Promise<void> {
  const revoker = await openDirectRevoker(loadConfig(context.env), 'pulse-agent revoke --all', context.signal);
  try {
    if (!options.yes) throw confirmationFault(`all ${await revoker.count()} namespaces`);
    await revokeAll(revoker, after, options, context);
  } finally {
    await revoker.close();
  }
}

function confirmationFault(what: string): UsageFault {
  return new UsageFault(`This revokes all credentials of ${what} immediately: add --yes to confirm.`);
}

async function revokeAll(
  revoker: DirectRevoker,
  after: string | undefined,
  { until }: DirectRevocationOptions,
  context: CommandContext,
): Promise<void> {
  const untilMs = until === undefined ? undefined : Date.parse(until);
  const { output, signal } = context;
  const failed: { namespace: string; code: string; message: string }[] = [];
  let lastDone = after;
  try {
    const revoked = await revoker.all(
      {
        untilMs,
        after,
        onProgress(lastName, count) {
          lastDone = lastName;
          output.note(`${count} revoked, up to ${lastName}`);
        },
        onRevoked: (name) => revoker.record(name, untilMs),
        onFailed(name, error) {
          const { code, sentences } = explainError(error);
          failed.push({ namespace: name, code, message: sentences.join(' ') });
        },
      },
      signal,
    );
    if (failed.length > 0) context.exitCode = EXIT.failed;
    output.print({ revoked, failed }, () =>
      [
        `The credentials of ${revoked} namespaces are revoked.`,
        ...failed.map((one) => `Failed to revoke those of ${one.namespace}: ${one.message}`),
      ].join('\n'),
    );
  } catch (error) {
    const resume = ['pulse-agent revoke --all --yes'];
    if (until !== undefined) resume.push(`--until ${until}`);
    if (lastDone !== undefined) resume.push(`--after ${lastDone}`);
    output.note(`Interrupted. To resume: ${resume.join(' ')}`);
    throw error;
  }
}
