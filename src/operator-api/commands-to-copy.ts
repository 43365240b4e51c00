import { shellQuoted } from '../util/shell-quoted.ts';
import type { NamespaceEntry } from './namespace-table.ts';
import type { CommandView } from './queue-schemas.ts';

/** What an operator can do about a namespace, and what shows more of it. */
export function namespaceCommands(
  { namespace, state }: Pick<NamespaceEntry, 'namespace' | 'state'>,
  queues: readonly string[],
): CommandView[] {
  return [
    command('what will be done about it, and when', 'plan', '--namespace', namespace, '--horizon', '31d'),
    command('what was done about it, and why', 'audit', '--namespace', namespace, '--since', '7d'),
    ...(state === 'expiring'
      ? []
      : [
          command('a password leaked: invalidate its credentials, its client claims again', 'revoke', namespace),
          command('delete it, with all its queues', 'release', namespace),
        ]),
    ...queues.map((queue) => command(`do not delete ${queue} for a day`, 'exempt', queue, '--until', '24h')),
  ];
}

function command(what: string, ...words: readonly string[]): CommandView {
  return { what, command: ['pulse-agent', ...words.map(shellWord)].join(' ') };
}

/** A word for a POSIX shell. */
export function shellWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : shellQuoted(word);
}
