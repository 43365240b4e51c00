import type { Permissions } from '../../src/broker/management/management.ts';
import { readDocument } from '../docs/documents.ts';

/** What docs/operations.md says that operators grant to the agent in its vhost. */
export function documentedRights(): Permissions {
  const document = readDocument('operations.md');
  const pattern = (right: string): string => {
    const [, found] = new RegExp(`^\\| ${right} \\| \`(.*)\` \\|$`, 'm').exec(document) ?? [];
    if (found === undefined) throw new Error(`The right ${right} is not documented.`);
    // In a table, a bar in a pattern is escaped.
    return found.replaceAll(String.raw`\|`, '|');
  };
  return { configure: pattern('configure'), write: pattern('write'), read: pattern('read') };
}
