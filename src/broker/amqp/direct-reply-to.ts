import { DIRECT_REPLY_TO } from '../../contract/names.ts';

/** The process that a well-formed direct reply-to address names. */
export interface DirectReplyTo {
  /** The hash of the name of the node with the requester's channel. */
  readonly nodeHash: number;
  readonly id: number;
  readonly serial: number;
}

/** Erlang's external term format: version, new pid, atom in UTF-8 with a length of 16 bits. */
const PID_HEAD = Buffer.from([0x83, 0x58, 0x76]);
const ID_BYTES = 4;
const SERIAL_BYTES = 4;
const CREATION_BYTES = 4;
const KEY_BYTES = 16;
/** `erlang:phash2/1` keeps 27 bits. */
const HASH_MASK = 0x7ffffff;
const NODE = /^reply@(0|[1-9][0-9]{0,8})$/;

/**
 * Parses a direct reply-to address as the broker delivers it; returns undefined for anything else.
 *
 * `amq.rabbitmq.reply-to.<A>.<B>`: A is base64 of a pid in Erlang's external term format, whose node is named after the
 * hash of the real node's name; B is base64 of a key of 16 bytes. Publishing to an address in which any bit of that is
 * wrong may close the publisher's connection with 541, so every bit is checked, canonical base64 included. The second
 * half of the check depends on the cluster: see requester-nodes.ts.
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
 * Whether the numbers are those of a pid in this major version of Erlang/OTP: larger ones cannot be decoded, which closes
 * the publisher's connection. Erlang's erl_term.h has 15 and 13 bits up to release 25, and 28 and 32 on 64-bit machines
 * since 26, which a busy broker uses.
 */
export function fitsPid({ id, serial }: Pick<DirectReplyTo, 'id' | 'serial'>, otpRelease: number): boolean {
  return otpRelease < 26 ? id < 2 ** 15 && serial < 2 ** 13 : id < 2 ** 28 && serial < 2 ** 32;
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
  const hash = NODE.exec(pid.toString('latin1', nodeStart, nodeEnd))?.[1];
  if (hash === undefined || Number(hash) > HASH_MASK) return undefined;
  return { nodeHash: Number(hash), id: pid.readUInt32BE(nodeEnd), serial: pid.readUInt32BE(nodeEnd + ID_BYTES) };
}

/** Node decodes any base64; the broker only the canonical form. */
function fromCanonicalBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : undefined;
}
