import { once } from 'node:events';
import type { Lease } from '../client/lease.ts';
import type { CommandContext } from './command.ts';
import type { Style } from './output.ts';

/**
 * Holds a lease until the command is to end, and prints what becomes of it.
 *
 * @throws LeaseLost
 */
export async function holdLease(
  lease: Lease,
  { output, signal }: CommandContext,
  showCredentials: boolean,
): Promise<void> {
  const tell = (event: string, more: Readonly<Record<string, unknown>>, text: (style: Style) => string): void => {
    const credentials = showCredentials ? { connectionString: lease.connectionString } : {};
    const { namespace } = lease;
    const times = { reclaimAt: lease.reclaimAt.toISOString(), expires: lease.expires.toISOString() };
    output.print(
      { event, namespace, ...times, ...more, ...credentials },
      (style) => `${new Date().toISOString()} ${text(style)}${showCredentials ? `\n  ${lease.connectionString}` : ''}`,
    );
  };
  const until = (): string => `claim again at ${lease.reclaimAt.toISOString()}, expires ${lease.expires.toISOString()}`;
  lease.on('renewed', ({ changed }) => {
    tell(
      'renewed',
      { changed },
      ({ good }) => `${good('renewed')} ${changed ? 'with other credentials' : 'the same'}; ${until()}`,
    );
  });
  lease.on('failing', ({ error: { code, message }, failures, retryAt }) => {
    const more = { error: { code, message }, failures, retryAt: retryAt.toISOString() };
    tell('failing', more, ({ doubtful }) => `${doubtful('failing')} ${message} Next try at ${retryAt.toISOString()}.`);
  });
  tell('claimed', {}, ({ good }) => `${good('claimed')} ${lease.namespace}; ${until()}`);
  if (signal.aborted) return;
  const [lost] = await Promise.race([once(lease, 'lost'), once(signal, 'abort').then(() => [])]);
  if (lost !== undefined) throw lost;
}
