import assert from 'node:assert/strict';
import type { Permissions } from '../../src/broker/management/management.ts';
import { requesterPermissions } from '../../src/broker/request-vhost.ts';
import { WIRE_ERRORS } from '../../src/contract/wire-errors.ts';
import { EVENT_TYPES, type EventType } from '../../src/contract/event-types.ts';
import { DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE } from '../../src/contract/fields.ts';
import { METHODS, type MethodName } from '../../src/contract/methods.ts';
import { contractNames, MAX_REQUEST_BYTES } from '../../src/contract/names.ts';
import { MAX_AUTHORIZATION_LENGTH } from '../../src/contract/signature.ts';
import { permissionsOf } from '../../src/namespaces/accounts/account-names.ts';
import { vectors } from '../contract/vectors.ts';
import { readDocument, rowsByName, section } from './documents.ts';

const protocol = readDocument('protocol.md');

describe('docs/protocol.md', () => {
  it('has a section for each method and no other', () => {
    const headings = [...section(protocol, '## Methods').matchAll(/^### `(.+)`$/gm)].map(([, name]) => name);
    assert.deepEqual(headings, Object.keys(METHODS));
  });

  for (const name of Object.keys(METHODS) as MethodName[]) {
    it(`says what ${name} needs`, () => {
      const text = section(protocol, `### \`${name}\``);
      const { signed, scope } = METHODS[name];
      assert.match(text, signed ? /Signed, with the scope/ : /No signature\./);
      if (scope !== null) assert.ok(text.includes(`\`${scope('<namespace>')}\``));
    });
  }

  it('has the error table of the code, word for word', () => {
    const rows = [...rowsByName(section(protocol, '## Errors')).values()];
    assert.deepEqual(
      rows,
      Object.entries(WIRE_ERRORS).map(([code, { retryable, meaning }]) => [
        `\`${code}\``,
        retryable ? 'yes' : 'no',
        meaning,
      ]),
    );
  });

  it('has the event types of the code, with their meaning and data', () => {
    const rows = rowsByName(section(protocol, '## Events'));
    assert.deepEqual([...rows.keys()], Object.keys(EVENT_TYPES));
    for (const type of Object.keys(EVENT_TYPES) as EventType[]) {
      const [, meaning, data] = rows.get(type) ?? [];
      assert.equal(meaning, EVENT_TYPES[type].meaning);
      const fields = Object.keys(EVENT_TYPES[type].data.shape).map((field) => `\`${field}\``);
      assert.equal(data, fields.join(', '), type);
    }
  });

  it('has the names on the broker', () => {
    const { brokerEventsQueue: _internal, tenantEventsQueue: _alsoInternal, ...names } = contractNames('pulse-agent');
    const rows = rowsByName(section(protocol, '## Names'));
    for (const name of Object.values(names)) assert.ok(rows.has(name), name);
  });

  it('has the permissions of a claimed account and of the claimant, by vhost', () => {
    const vhosts = { vhost: 'tenants', requestVhost: 'requests' };
    const row = (...cells: string[]): string => `| ${cells.join(' | ')} |`;
    const patterns = ({ configure, write, read }: Permissions): string[] =>
      [configure, write, read].map((pattern) => `\`${pattern.replaceAll('|', '\\|')}\``);
    const rows = Object.entries(permissionsOf({ id: 'pulse-agent', ...vhosts }, '<namespace>')).map(
      ([vhost, permissions]) => row('account of a namespace', vhost, ...patterns(permissions)),
    );
    rows.push(row('claimant', 'requests', ...patterns(requesterPermissions('pulse-agent'))));
    const text = section(protocol, '## Names');
    for (const expected of rows) assert.ok(text.includes(expected), expected);
  });

  it('has the limits of the code', () => {
    const listing = section(protocol, '### `list-namespaces`');
    assert.ok(listing.includes(`1 to ${MAX_PAGE_SIZE}, and ${DEFAULT_PAGE_SIZE} unless given`));
    assert.ok(section(protocol, '## Requests').includes(`at most ${MAX_REQUEST_BYTES} bytes`));
    assert.ok(section(protocol, '## Signature').includes(`at most ${MAX_AUTHORIZATION_LENGTH} characters`));
  });

  it('works the example that the vectors hold', () => {
    const example = section(protocol, '### Worked example');
    const vector = vectors.requests.find(({ name }) => example.includes(`"${name}"`));
    assert.ok(vector, 'the example names no vector');
    const { body, credentials, timestampSeconds, nonce, payloadHash, normalized, authorization } = vector;
    const given = [body, credentials.clientId, credentials.accessToken, String(timestampSeconds), nonce];
    for (const part of given) assert.ok(example.includes(part), part);
    for (const block of [`${payloadHash}\n`, normalized, `${authorization}\n`]) {
      assert.ok(example.includes(`\`\`\`\n${block}\`\`\``), block);
    }
  });
});
