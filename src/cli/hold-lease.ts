import { once } from 'node:events';
import type { Lease } from '../client/lease.ts';
import type { CommandContext } from './define-command.ts';
import type { Style } from './output.ts';
import type { PublishedLease } from './publish-lease.ts';

/**
 * Holds a lease until the command is interrupted, and prints each of its events.
 *
 * @param published starts when the claim was printed
 * @throws LeaseLost; what the start of `published` throws
 */
export async function holdLease(
  lease: Lease,
  { output, signal }: CommandContext,
  showCredentials: boolean,
  published?: Pick<PublishedLease, 'start'>,
): Promise<void> {
  const print = (event: string, more: Readonly<Record<string, unknown>>, text: (style: Style) => string): void => {
    const connectionStrings = showCredentials ? lease.connectionStrings : [];
    const [connectionString] = connectionStrings;
    const all = connectionStrings.length > 1 ? { connectionStrings } : {};
    const credentials = showCredentials ? { connectionString, ...all } : {};
    const { namespace } = lease;
    const times = { reclaimAt: lease.reclaimAt.toISOString(), expires: lease.expires.toISOString() };
    output.print({ event, namespace, ...times, ...more, ...credentials }, (style) =>
      [`${new Date().toISOString()} ${text(style)}`, ...connectionStrings.map((url) => `  ${url}`)].join('\n'),
    );
  };
  const until = (): string => `claim again at ${lease.reclaimAt.toISOString()}, expires ${lease.expires.toISOString()}`;
  lease.on('renewed', ({ changed }) => {
    print(
      'renewed',
      { changed },
      ({ good }) => `${good('renewed')} ${changed ? 'with new credentials' : 'with the same credentials'}; ${until()}`,
    );
  });
  lease.on('failing', ({ error: { code, message }, failures, retryAt }) => {
    const more = { error: { code, message }, failures, retryAt: retryAt.toISOString() };
    print(
      'failing',
      more,
      ({ doubtful }) => `${doubtful('failing')} ${message} Next attempt at ${retryAt.toISOString()}.`,
    );
  });
  print('claimed', {}, ({ good }) => `${good('claimed')} ${lease.namespace}; ${until()}`);
  if (signal.aborted) return;
  const over = Promise.race([once(lease, 'lost'), once(signal, 'abort').then(() => [])]);
  await published?.start();
  const [lost] = await over;
  if (lost !== undefined) throw lost;
}
