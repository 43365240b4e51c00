import assert from 'node:assert/strict';
import { useInstallation } from '../support/agent.ts';
import { nestedTable, publishRaw } from '../support/raw-amqp.ts';

/** Deep enough for amqplib's decoder, which works on the stack, to fail. The broker takes seconds for much deeper ones. */
const DEPTH = 6_000;

describe('headers that cannot be decoded', () => {
  const installation = useInstallation();

  for (const method of ['ping', 'make-coffee']) {
    it(`${method} with arrays in arrays: dead-lettered, and nobody else notices`, async () => {
      const { names, claimantUrl, log } = installation();
      const rpc = await installation().rpc();
      const others = Array.from({ length: 50 }, () => rpc.request('ping', {}));
      const message = { exchange: names.rpcExchange, routingKey: method, correlationId: 'x' };
      await publishRaw(claimantUrl, { ...message, headerTable: nestedTable(DEPTH) });
      others.push(...Array.from({ length: 50 }, () => rpc.request('ping', {})));
      for (const { alive } of await Promise.all(others)) assert.equal(alive, true);
      assert.deepEqual(
        log.filter((line) => line.includes('connection is gone')),
        [],
      );
      // One of an unknown method goes to the dead letters as it is, by the alternate exchange: no client like this one
      // could look for it there.
      if (method === 'make-coffee') return;
      const deadLetters = await installation().deadLetters();
      const letter = await deadLetters.find(({ fields }) => fields.routingKey === method);
      const headers = String(letter.properties.headers?.['x-pulse-agent-headers']);
      assert.match(headers, /"unreadable":"Maximum call stack size exceeded"/);
    });
  }
});
