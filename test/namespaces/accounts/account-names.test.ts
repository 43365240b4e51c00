import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import type { Permissions } from '../../../src/broker/management/management.ts';
import { parseAmqpUrls } from '../../../src/contract/url.ts';
import { accountName, connectionStrings, permissionsOf } from '../../../src/namespaces/accounts/account-names.ts';
import { activeSlot, slotOfGeneration } from '../../../src/namespaces/slots.ts';

/** Whether RabbitMQ permits a name: it matches anywhere, and its `$` also matches before one final line break. */
function allows(pattern: string, name: string): boolean {
  return new RegExp(pattern.replace(/\$$/, '\\n?$')).test(name);
}

/** Names outside of the namespace taskcluster-x. */
const NOTHING = [
  'queue/taskcluster-xy/jobs',
  'queue/taskcluster-x-2/jobs',
  'queue/taskcluster-/jobs',
  'queue/other-taskcluster-x/jobs',
  'queue/taskcluster-x',
  'queue/taskcluster-y/queue/taskcluster-x/jobs',
  'a queue/taskcluster-x/jobs',
  'queue/taskcluster-y\nqueue/taskcluster-x/jobs',
  'queue/taskcluster-x\n/jobs',
  'exchange',
  'myexchange/x',
  'rpc/pulse-agent/v1',
  'rpc/pulse-agent/v12',
  'rpc/pulse-agent/v1/dead',
  'rpc/pulse-agent/v',
  'rpc/pulse-agent-2/v1',
  'rpc/other/v1',
  'x/rpc/pulse-agent/v1',
  'queue/pulse-agent/v1/requests',
  'queue/pulse-agent/v1/dead',
  'amq.default',
  'amq.topic',
  'amq.rabbitmq.event',
  '',
];

const CONFIG = { id: 'pulse-agent', vhost: 'tenants', requestVhost: 'requests' };

/** The permissions of a namespace's accounts in the vhost of the tenants and in that of the requests. */
function grantedTo(namespace: string): Record<'tenants' | 'requests', Permissions> {
  const { tenants, requests, ...others } = permissionsOf(CONFIG, namespace);
  assert.ok(tenants && requests);
  assert.deepEqual(others, {});
  return { tenants, requests };
}

describe('permissionsOf', () => {
  const { tenants, requests } = grantedTo('taskcluster-x');
  const { configure, write, read } = tenants;

  // The permissions of an account of taskcluster-x on each name.
  const table: [string, { configure: boolean; write: boolean; read: boolean }][] = [
    ['queue/taskcluster-x/jobs', { configure: true, write: true, read: true }],
    ['queue/taskcluster-x/', { configure: true, write: true, read: true }],
    ['queue/taskcluster-x/a/b c', { configure: true, write: true, read: true }],
    ['exchange/taskcluster-x/jobs', { configure: true, write: true, read: true }],
    ['exchange/taskcluster-y/jobs', { configure: false, write: false, read: true }],
    ['exchange/pulse-agent/v1/events', { configure: false, write: false, read: true }],
    ...NOTHING.map((name): [string, { configure: boolean; write: boolean; read: boolean }] => [
      name,
      { configure: false, write: false, read: false },
    ]),
  ];
  for (const [name, expected] of table) {
    it(`permits the right operations on ${JSON.stringify(name)}`, () => {
      assert.deepEqual(
        { configure: allows(configure, name), write: allows(write, name), read: allows(read, name) },
        expected,
      );
    });
  }

  it('permits requests in the vhost of the requests, and nothing else', () => {
    const names = [...NOTHING, ...table.map(([name]) => name), 'queue/pulse-agent/v1/requests', 'amq.default'];
    assert.deepEqual(
      names.filter((name) => allows(requests.write, name)),
      ['rpc/pulse-agent/v1', 'rpc/pulse-agent/v12', 'rpc/pulse-agent/v1', 'rpc/pulse-agent/v12'],
    );
    // RabbitMQ refuses to declare or to bind anything whose name is empty.
    const permitted = names.filter((name) => allows(requests.configure, name) || allows(requests.read, name));
    assert.deepEqual(new Set(permitted), new Set(['']));
  });

  it('permits no queue and no exchange of another namespace', () => {
    const name = fc.stringMatching(/^[A-Za-z0-9_-]{1,64}$/);
    fc.assert(
      fc.property(name, name, fc.string(), (own, other, rest) => {
        fc.pre(own !== other);
        const permissions = grantedTo(own).tenants;
        for (const kind of ['queue', 'exchange']) {
          assert.ok(!allows(permissions.configure, `${kind}/${other}/${rest}`));
          assert.ok(!allows(permissions.write, `${kind}/${other}/${rest}`));
        }
        assert.ok(!allows(permissions.read, `queue/${other}/${rest}`));
      }),
    );
  });
});

describe('accounts', () => {
  it('alternate with the generation', () => {
    assert.deepEqual([1, 2, 3, 4].map(slotOfGeneration), [1, 2, 1, 2]);
    assert.equal(activeSlot({ generation: 7 }), 1);
  });

  it('are named after prefix, namespace and slot, without a collision', () => {
    assert.equal(accountName('pulse.', 'taskcluster-x', 2), 'pulse.taskcluster-x-2');
    const name = fc.stringMatching(/^[A-Za-z0-9_-]{1,64}$/);
    const slot = fc.constantFrom(1 as const, 2 as const);
    fc.assert(
      fc.property(name, slot, name, slot, (a, slotA, b, slotB) => {
        assert.equal(accountName('', a, slotA) === accountName('', b, slotB), a === b && slotA === slotB);
      }),
    );
  });
});

describe('the connection strings of an account', () => {
  const stringsOf = (urls: string, namespace = 'taskcluster-x', login = { username: 'u', password: 'p' }) =>
    connectionStrings(parseAmqpUrls(urls), namespace, login);

  it('are the public AMQP URL with the credentials', () => {
    assert.deepEqual(
      stringsOf('amqps://pulse.example:5671/%2F', 'taskcluster-x', {
        username: 'taskcluster-x-1',
        password: 'pass_word-1',
      }),
      { connectionString: 'amqps://taskcluster-x-1:pass_word-1@pulse.example:5671/%2F' },
    );
  });

  it('keep every name and password unchanged', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', minLength: 1 }), fc.string({ unit: 'grapheme' }), (user, password) => {
        const { connectionString } = stringsOf('amqp://h/vhost', 'taskcluster-x', { username: user, password });
        const url = new URL(connectionString);
        assert.equal(decodeURIComponent(url.username), user);
        assert.equal(decodeURIComponent(url.password), password);
        assert.equal(url.host, 'h');
      }),
    );
  });

  it('name every address, in an order that a namespace keeps, and that differs between namespaces', () => {
    const urls = 'amqps://a/v,amqps://b:1/v,amqps://c/v';
    const { connectionString, connectionStrings: all } = stringsOf(urls);
    assert.equal(all?.[0], connectionString);
    assert.deepEqual(all?.toSorted(), ['amqps://u:p@a/v', 'amqps://u:p@b:1/v', 'amqps://u:p@c/v']);
    assert.deepEqual(stringsOf(urls).connectionStrings, all);
    const firsts = new Map<string, number>();
    for (let namespace = 0; namespace < 300; namespace += 1) {
      const first = stringsOf(urls, `taskcluster-${namespace}`).connectionString;
      firsts.set(first, (firsts.get(first) ?? 0) + 1);
    }
    assert.equal(firsts.size, 3);
    for (const [first, count] of firsts) assert.ok(count > 60, `${first}: ${count}`);
  });
});
