import { openDirectRevoker } from '../agent/direct-revocation.ts';
import { loadConfig } from '../config/config.ts';
import { type CommandContext, UsageFault } from './command.ts';
import { EXIT } from './exit-codes.ts';
import { explainError } from './explain-error.ts';

/** What `revoke --direct` and `revoke --all` are given. */
export interface DirectOptions {
  /** Undefined: all of them. */
  readonly namespace: string | undefined;
  /** In ISO 8601. */
  readonly until: string | undefined;
  /** All after this name. */
  readonly after: string | undefined;
  readonly yes: boolean;
}

/** Revokes on store and broker, with the configuration of an agent, whatever becomes of the request queue. */
export async function revokeWithProgress(options: DirectOptions, context: CommandContext): Promise<void> {
  const { env, output, signal } = context;
  const { namespace, until, after, yes } = options;
  const untilMs = until === undefined ? undefined : Date.parse(until);
  const reason = namespace === undefined ? 'pulse-agent revoke --all' : 'pulse-agent revoke --direct';
  const revoker = await openDirectRevoker(loadConfig(env), reason, signal);
  try {
    if (!yes) {
      const what = namespace ?? `all ${await revoker.count()} namespaces`;
      throw new UsageFault(`This would make all credentials of ${what} useless now: add --yes to do it.`);
    }
    const claims = until === undefined ? 'It may be claimed anew.' : `Claims are refused until ${until}.`;
    if (namespace !== undefined) {
      await revoker.one(namespace, untilMs, signal);
      await revoker.writeDown(namespace, untilMs);
      output.print(
        { namespace, ...(until === undefined ? {} : { revokedUntil: until }) },
        () => `The credentials of ${namespace} are of no use any more. ${claims}`,
      );
      return;
    }
    await revokeAll();
  } finally {
    await revoker.close();
  }

  async function revokeAll(): Promise<void> {
    const failed: { namespace: string; code: string; message: string }[] = [];
    let doneUpTo = after;
    try {
      const revoked = await revoker.all(
        {
          untilMs,
          after,
          onProgress(lastName, count) {
            doneUpTo = lastName;
            output.note(`${count} revoked, up to ${lastName}`);
          },
          onRevoked: (name) => revoker.writeDown(name, untilMs),
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
          `The credentials of ${revoked} namespaces are of no use any more.`,
          ...failed.map((one) => `Not those of ${one.namespace}: ${one.message}`),
        ].join('\n'),
      );
    } catch (error) {
      const goOn = `pulse-agent revoke --all --yes${until === undefined ? '' : ` --until ${until}`}`;
      output.note(`Broken off. To go on: ${goOn}${doneUpTo === undefined ? '' : ` --after ${doneUpTo}`}`);
      throw error;
    }
  }
}
