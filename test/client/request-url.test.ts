import assert from 'node:assert/strict';
import { requestUrl } from '../../src/client/request-url.ts';

describe('requestUrl', () => {
  for (const [connectionString, vhost, expected] of [
    ['amqps://u:p@h:5671/%2F', 'pulse-agent', 'amqps://u:p@h:5671/pulse-agent'],
    ['amqps://u:p@h', 'pulse-agent', 'amqps://u:p@h/pulse-agent'],
    ['amqp://u:p%40@[::1]:5672/pulse?heartbeat=10', 'pulse-agent', 'amqp://u:p%40@[::1]:5672/pulse-agent?heartbeat=10'],
    ['amqp://h/pulse', 'a vhost/of 100%', 'amqp://h/a%20vhost%2Fof%20100%25'],
    ['amqp://h/pulse', '/', 'amqp://h/%2F'],
  ] as const) {
    it(`turns ${connectionString} into ${expected}`, () => assert.equal(requestUrl(connectionString, vhost), expected));
  }
});
