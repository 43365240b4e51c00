import { CompactEncrypt, type CryptoKey, compactDecrypt, exportJWK, generateKeyPair, importJWK } from 'jose';
import { WireError } from './wire-errors.ts';
import { isUsablePoint, type ReplyKey } from './reply-key.ts';

const KEY_AGREEMENT = 'ECDH-ES';
const CONTENT_ENCRYPTION = 'A256GCM';

/** A key pair for one reply. The private key never leaves the process. */
export interface ReplyKeyPair {
  /** The `replyKey` of a claim. */
  readonly publicKey: ReplyKey;
  /** Opens the reply; it cannot be exported. */
  readonly privateKey: CryptoKey;
}

/** Makes a key pair. Use a new one for each request, so that a later leak does not open an earlier reply. */
export async function generateReplyKey(): Promise<ReplyKeyPair> {
  const { publicKey, privateKey } = await generateKeyPair(KEY_AGREEMENT, { crv: 'X25519', extractable: false });
  const { x } = await exportJWK(publicKey);
  if (x === undefined) throw new Error('An exported X25519 key has no x.');
  return { publicKey: { kty: 'OKP', crv: 'X25519', x }, privateKey };
}

/**
 * Seals the JSON of a result for `replyKey`: a compact JWE that only the holder of the private key can open.
 *
 * @throws WireError `InputError` if the key cannot be used.
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
 * Opens a sealed result and returns its JSON. Accepts only ECDH-ES with A256GCM and no compression, whatever the header says.
 *
 * @throws WireError `InternalServerError` if it was not sealed for this key, or does not follow the contract.
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
      'The sealed result cannot be opened with the key of this request. Retry with a new key.',
      { cause: error },
    );
  }
}
