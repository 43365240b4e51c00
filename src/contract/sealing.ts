import {
  createCipheriv,
  createDecipheriv,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  hash,
  type JsonWebKey,
  type KeyObject,
  randomBytes,
} from 'node:crypto';
import * as z from 'zod';
import { isUsablePoint, type ReplyKey } from './reply-key.ts';
import { WireError } from './wire-errors.ts';

// On node's own crypto. With jose, a library on WebCrypto, sealing took 357 µs of CPU and opening 241; here they take 73
// and 45 (docs/performance.md). jose judges this file in the tests.

const KEY_AGREEMENT = 'ECDH-ES';
const CONTENT_ENCRYPTION = 'A256GCM';
const CIPHER = 'aes-256-gcm';
const KEY_BYTES = 32;
const IV_BYTES = 12;
const TAG_BYTES = 16;

/** A key pair for one reply. The private key never leaves the process. */
export interface ReplyKeyPair {
  /** The `replyKey` of a claim. */
  readonly publicKey: ReplyKey;
  /** Opens the reply as {@link open} does. Nothing else can reach the private key. */
  readonly open: (jwe: string) => Uint8Array;
}

/** Makes a key pair. Use a new one for each request, so that a later leak does not open an earlier reply. */
export function generateReplyKey(): ReplyKeyPair {
  const { x, privateKey } = generateKeyPair();
  return { publicKey: { kty: 'OKP', crv: 'X25519', x }, open: (jwe) => open(jwe, privateKey) };
}

/**
 * Seals the JSON of a result for `replyKey`: a compact JWE that only the holder of the private key can open.
 *
 * @throws WireError `InputError` if the key cannot be used.
 */
export function seal(resultJson: string, replyKey: ReplyKey): string {
  if (!isUsablePoint(replyKey.x)) {
    throw new WireError('InputError', 'The field replyKey.x must be the base64url of a usable public X25519 key.');
  }
  // New for each reply: with the same one, one leaked key would open several.
  const ephemeral = generateKeyPair();
  const contentKey = deriveContentKey(ephemeral.privateKey, replyKey.x);
  const epk: ReplyKey = { kty: 'OKP', crv: 'X25519', x: ephemeral.x };
  const header = toBase64url(Buffer.from(JSON.stringify({ alg: KEY_AGREEMENT, enc: CONTENT_ENCRYPTION, epk })));
  const iv = randomBytes(IV_BYTES);
  const cipher = createCipheriv(CIPHER, contentKey, iv, { authTagLength: TAG_BYTES }).setAAD(Buffer.from(header));
  const ciphertext = Buffer.concat([cipher.update(resultJson, 'utf8'), cipher.final()]);
  // The second part would be an encrypted key: here the agreed one is used itself.
  return [header, '', toBase64url(iv), toBase64url(ciphertext), toBase64url(cipher.getAuthTag())].join('.');
}

/**
 * Opens a sealed result and returns its JSON. Accepts only ECDH-ES with A256GCM and no compression, whatever the header says.
 *
 * @throws WireError `InternalServerError` if it was not sealed for this key, or does not follow the contract.
 */
export function open(jwe: string, privateKey: KeyObject): Uint8Array {
  try {
    const [header = '', encryptedKey, iv = '', ciphertext = '', tag = '', ...more] = jwe.split('.', PARTS + 1);
    if (encryptedKey !== '' || more.length > 0)
      throw new Error('It does not have five parts with an empty second one.');
    const { epk } = headerForm.parse(JSON.parse(fromBase64url(header).toString()));
    const contentKey = deriveContentKey(privateKey, epk.x);
    // Node checks neither length: a shorter tag would be easier to forge.
    const decipher = createDecipheriv(CIPHER, contentKey, fromBase64url(iv, IV_BYTES), { authTagLength: TAG_BYTES })
      .setAAD(Buffer.from(header))
      .setAuthTag(fromBase64url(tag, TAG_BYTES));
    return Buffer.concat([decipher.update(fromBase64url(ciphertext)), decipher.final()]);
  } catch (error) {
    throw new WireError(
      'InternalServerError',
      'The sealed result cannot be opened with the key of this request. Retry with a new key.',
      { cause: error },
    );
  }
}

const PARTS = 5;

/** Other members may be there and mean nothing here, except for those that would change how the result is opened. */
const headerForm = z.object({
  alg: z.literal(KEY_AGREEMENT),
  enc: z.literal(CONTENT_ENCRYPTION),
  epk: z.object({ kty: z.literal('OKP'), crv: z.literal('X25519'), x: z.string() }),
  apu: z.undefined().optional(),
  apv: z.undefined().optional(),
  crit: z.undefined().optional(),
  zip: z.undefined().optional(),
});

/** What Concat KDF hashes after the secret (RFC 7518, 4.6.2): the algorithm, two parties without names, 256 bits. */
const OTHER_INFO = Buffer.concat([
  uint32(CONTENT_ENCRYPTION.length),
  Buffer.from(CONTENT_ENCRYPTION),
  uint32(0),
  uint32(0),
  uint32(KEY_BYTES * 8),
]);
const FIRST_ROUND = uint32(1);

/** The content encryption key. The hash is as long as the key, so that Concat KDF has one round. */
function deriveContentKey(privateKey: KeyObject, x: string): Buffer {
  fromBase64url(x, KEY_BYTES);
  const publicKey = createPublicKey({ key: { kty: 'OKP', crv: 'X25519', x }, format: 'jwk' });
  const secret = diffieHellman({ privateKey, publicKey });
  if (secret.every((byte) => byte === 0)) throw new Error('The point is of small order.');
  return hash('sha256', Buffer.concat([FIRST_ROUND, secret, OTHER_INFO]), 'buffer');
}

/**
 * A new key pair; `x` is its public point. The point is exported while the pair is made: `export()` of a `KeyObject` holds a
 * lock which the garbage collector also takes, in the same thread, when it removes what made the pair, and then never ends.
 */
function generateKeyPair(): { x: string; privateKey: KeyObject } {
  // Its type does not know this format.
  const made: { publicKey: unknown; privateKey: KeyObject } = generateKeyPairSync('x25519', {
    publicKeyEncoding: { format: 'jwk' },
  });
  const { x } = made.publicKey as JsonWebKey;
  if (x === undefined) throw new Error('Node made a public key without a point.');
  return { x, privateKey: made.privateKey };
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

function toBase64url(bytes: Buffer): string {
  return bytes.toString('base64url');
}

/** Strict, where Buffer ignores what it cannot read. */
function fromBase64url(text: string, length?: number): Buffer {
  const bytes = Buffer.from(text, 'base64url');
  if (bytes.toString('base64url') !== text) throw new Error('A part is not base64url.');
  if (length !== undefined && bytes.length !== length) throw new Error(`A part does not have ${length} bytes.`);
  return bytes;
}
