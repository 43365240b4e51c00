import { DIRECT_REPLY_TO } from '../contract/names.ts';

/** What a well-formed direct reply-to address tells. */
export interface DirectReplyTo {
  /** The hash of the name of the node that holds the requester's channel. */
  readonly nodeHash: number;
}

/** Erlang's external term format: version, new pid, atom in UTF-8 with a length of 16 bits. */
const PID_HEAD = Buffer.from([0x83, 0x58, 0x76]);
const ID_BYTES = 4;
const SERIAL_BYTES = 4;
const CREATION_BYTES = 4;
const KEY_BYTES = 16;
/** Larger ones are no pid to Erlang/OTP 25; a process of a running node stays far below. */
const ID_LIMIT = 2 ** 15;
const SERIAL_LIMIT = 2 ** 13;
/** `erlang:phash2/1` keeps 27 bits. */
const HASH_MASK = 0x7ffffff;
const NODE = /^reply@(0|[1-9][0-9]{0,8})$/;

/**
 * Reads an address of direct reply-to as the broker delivers it, or returns undefined for anything else.
 *
 * `amq.rabbitmq.reply-to.<A>.<B>`: A is base64 of a pid in Erlang's external term format, whose node is named after the
 * hash of the real node's name, B is base64 of a key of 16 bytes. Publishing to an address in which any of that is
 * wrong closes the publisher's connection with 541, so it is checked to the bit, canonical base64 included. Whether the
 * node runs is the other half of the check: see running-nodes.ts.
 */
export function readDirectReplyTo(address: string): DirectReplyTo | undefined {
  const prefix = `${DIRECT_REPLY_TO}.`;
  if (!address.startsWith(prefix)) return undefined;
  const parts = address.slice(prefix.length).split('.');
  if (parts.length !== 2) return undefined;
  const [pid, key] = parts.map(fromCanonicalBase64);
  if (pid === undefined || key?.length !== KEY_BYTES) return undefined;
  return readPid(pid);
}

/**
 * The hash of a node's name, as in an address: `erlang:phash2` of the atom, which is the PJW hash of its bytes.
 *
 * @example
 * nodeNameHash('rev@localhost'); // 29926788
 */
export function nodeNameHash(name: string): number {
  let hash = 0;
  // Erlang hashes an atom as Latin-1 where that can hold it; RabbitMQ's node names are ASCII.
  for (const byte of Buffer.from(name, 'latin1')) {
    hash = ((hash << 4) + byte) >>> 0;
    const high = hash & 0xf0000000;
    if (high !== 0) hash = (hash ^ (high >>> 24) ^ high) >>> 0;
  }
  return hash & HASH_MASK;
}

function readPid(pid: Buffer): DirectReplyTo | undefined {
  const nodeStart = PID_HEAD.length + 2;
  if (pid.length < nodeStart || !pid.subarray(0, PID_HEAD.length).equals(PID_HEAD)) return undefined;
  const nodeEnd = nodeStart + pid.readUInt16BE(PID_HEAD.length);
  if (pid.length !== nodeEnd + ID_BYTES + SERIAL_BYTES + CREATION_BYTES) return undefined;
  if (pid.readUInt32BE(nodeEnd) >= ID_LIMIT) return undefined;
  if (pid.readUInt32BE(nodeEnd + ID_BYTES) >= SERIAL_LIMIT) return undefined;
  const hash = NODE.exec(pid.toString('latin1', nodeStart, nodeEnd))?.[1];
  if (hash === undefined) return undefined;
  return Number(hash) > HASH_MASK ? undefined : { nodeHash: Number(hash) };
}

/** Node reads any base64 and forgives; the broker forgives nothing. */
function fromCanonicalBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : undefined;
}
