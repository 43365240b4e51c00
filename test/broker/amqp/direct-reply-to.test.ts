import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { fitsPid, nodeNameHash, readDirectReplyTo } from '../../../src/broker/amqp/direct-reply-to.ts';
import { replyAddress } from '../../support/reply-address.ts';

describe('direct reply-to address', () => {
  it('contains the hash of its node', () => {
    assert.deepEqual(readDirectReplyTo(replyAddress({ node: 'reply@29926788' })), {
      nodeHash: 29926788,
      id: 700,
      serial: 0,
    });
  });

  it('is checked with the hash of a node name that Erlang computes', () => {
    assert.equal(nodeNameHash('rev@localhost'), 29926788);
  });

  const forged: Record<string, string> = {
    'the literal': 'amq.rabbitmq.reply-to',
    'no key': 'amq.rabbitmq.reply-to.g1h2',
    'well-formed garbage': 'amq.rabbitmq.reply-to.gAAAA.bbbb',
    'another prefix': replyAddress({}).replace('reply-to', 'reply-too'),
    'a third part': `${replyAddress({})}.AAAA`,
    'base64 without padding': replyAddress({}).replace(/=+$/, ''),
    'base64 with stray characters': replyAddress({}).replace('reply-to.g', 'reply-to.g\n'),
    base64url: replyAddress({ key: Buffer.alloc(16, 0xff) }).replaceAll('/', '_'),
    'a key of 15 bytes': replyAddress({ key: Buffer.alloc(15) }),
    'a key of 17 bytes': replyAddress({ key: Buffer.alloc(17) }),
    'a node of another form': replyAddress({ node: 'rabbit@29926788' }),
    'a node without a number': replyAddress({ node: 'reply@localhost' }),
    'a hash with a leading zero': replyAddress({ node: 'reply@029926788' }),
    'a hash beyond 27 bits': replyAddress({ node: `reply@${2 ** 27}` }),
    'a length that lies': replyAddress({ nodeLength: 5 }),
    'one byte more': replyAddress({ tail: Buffer.alloc(1) }),
    'another kind of atom': replyAddress({ head: Buffer.from([0x83, 0x58, 0x64]) }),
    'another term': replyAddress({ head: Buffer.from([0x83, 0x67, 0x76]) }),
    'a compressed term': replyAddress({ head: Buffer.from([0x83, 0x50, 0x76]) }),
  };
  for (const [what, address] of Object.entries(forged)) {
    it(`is rejected with ${what}`, () => assert.equal(readDirectReplyTo(address), undefined));
  }

  it('is checked against the size of a pid in each Erlang/OTP', () => {
    const sizes = [
      { otpRelease: 25, idBits: 15, serialBits: 13 },
      { otpRelease: 26, idBits: 28, serialBits: 32 },
      { otpRelease: 27, idBits: 28, serialBits: 32 },
    ];
    for (const { otpRelease, idBits, serialBits } of sizes) {
      assert.ok(fitsPid({ id: 2 ** idBits - 1, serial: 2 ** serialBits - 1 }, otpRelease));
      assert.ok(!fitsPid({ id: 2 ** idBits, serial: 0 }, otpRelease));
      assert.ok(!fitsPid({ id: 0, serial: 2 ** serialBits }, otpRelease));
    }
  });

  it('never throws', () => {
    const text = fc.oneof(
      fc.string(),
      fc.base64String().map((part) => `amq.rabbitmq.reply-to.${part}.AAAA`),
      fc
        .uint8Array({ maxLength: 40 })
        .map((pid) => replyAddress({ head: Buffer.concat([Buffer.from([0x83, 0x58, 0x76]), pid]) })),
    );
    fc.assert(fc.property(text, (address) => void readDirectReplyTo(address)));
  });
});
