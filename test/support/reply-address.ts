/** The parts of a direct reply-to address; a forger can choose each. */
export interface ReplyAddressParts {
  head?: Buffer;
  node?: string;
  nodeLength?: number;
  id?: number;
  serial?: number;
  creation?: number;
  tail?: Buffer;
  key?: Buffer;
}

/** Makes a direct reply-to address in RabbitMQ's format, well-formed except for what is given. */
export function replyAddress(parts: ReplyAddressParts): string {
  const node = Buffer.from(parts.node ?? 'reply@29926788', 'latin1');
  const numbers = Buffer.alloc(14);
  numbers.writeUInt16BE(parts.nodeLength ?? node.length, 0);
  numbers.writeUInt32BE(parts.id ?? 700, 2);
  numbers.writeUInt32BE(parts.serial ?? 0, 6);
  numbers.writeUInt32BE(parts.creation ?? 1_700_000_000, 10);
  const pid = Buffer.concat([
    parts.head ?? Buffer.from([0x83, 0x58, 0x76]),
    numbers.subarray(0, 2),
    node,
    numbers.subarray(2),
    parts.tail ?? Buffer.alloc(0),
  ]);
  const key = parts.key ?? Buffer.alloc(16, 7);
  return `amq.rabbitmq.reply-to.${pid.toString('base64')}.${key.toString('base64')}`;
}
