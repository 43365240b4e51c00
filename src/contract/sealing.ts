import { CompactEncrypt, type CryptoKey, compactDecrypt, exportJWK, generateKeyPair, importJWK } from 'jose';
import { WireError } from './wire-errors.ts';
import { isUsablePoint, type ReplyKey } from './reply-key.ts';

const KEY_AGREEMENT = 'ECDH-ES';
const CONTENT_ENCRYPTION = 'A256GCM';

/** A key pair for one reply. The private half never leaves the process. */
export interface ReplyKeyPair {
  /** What a claim sends as `replyKey`. */
  readonly publicKey: ReplyKey;
  /** What opens the reply; it cannot be exported. */
  readonly privateKey: CryptoKey;
}

/** Makes a fresh key pair. Use one for each request: then no later leak opens an earlier reply. */
export async function generateReplyKey(): Promise<ReplyKeyPair> {
  const { publicKey, privateKey } = await generateKeyPair(KEY_AGREEMENT, { crv: 'X25519', extractable: false });
  const { x } = await exportJWK(publicKey);
  if (x === undefined) throw new Error('An exported X25519 key holds no point.');
  return { publicKey: { kty: 'OKP', crv: 'X25519', x }, privateKey };
}

/**
 * Seals the JSON of a result for `replyKey`: a compact JWE that only the holder of the private key can open.
 *
 * @throws WireError InputError when nothing can be sealed for that key.
 */
export async function seal(resultJson: string, replyKey: ReplyKey): Promise<string> {
  if (!isUsablePoint(replyKey.x)) {
    throw new WireError('InputError', 'The field replyKey.x must be the base64url of a usable public X25519 key.');
  }
  const { kty, crv, x } = replyKey;
  const key = await importJWK({ kty, crv, x }, KEY_AGREEMENT);
  return await new CompactEncrypt(Buffer.from(resultJson))
    .setProtectedHeader({ alg: KEY_AGREEMENT, enc: CONTENT_ENCRYPTION })
    .encrypt(key);
}

/**
 * Opens a sealed result and gives the bytes of its JSON. Nothing but ECDH-ES with A256GCM is opened, and nothing
 * compressed, whatever the header asks for.
 *
 * @throws WireError InternalServerError when it was not sealed for this key, or not as the contract says.
 */
export async function open(jwe: string, privateKey: CryptoKey): Promise<Uint8Array> {
  try {
    const { plaintext } = await compactDecrypt(jwe, privateKey, {
      keyManagementAlgorithms: [KEY_AGREEMENT],
      contentEncryptionAlgorithms: [CONTENT_ENCRYPTION],
      maxDecompressedLength: 0,
    });
    return plaintext;
  } catch (error) {
    throw new WireError(
      'InternalServerError',
      'The sealed result does not open with the key of this request: ask again with a new key.',
      { cause: error },
    );
  }
}
