import * as z from 'zod';

/** A public X25519 key as a JWK (RFC 8037). The result of a claim is sealed for it. */
export interface ReplyKey {
  readonly kty: 'OKP';
  readonly crv: 'X25519';
  /** The 32 bytes of the point, in base64url without padding. */
  readonly x: string;
}

/**
 * The points of small order (RFC 7748, 6.1), without their highest bit, which X25519 ignores: 0, 1, the two of order 8, and
 * p - 1, p and p + 1 for p = 2^255 - 19. A table, because a key agreement to find out costs as much as half of a sealing;
 * the tests compare it with one.
 */
const SMALL_ORDER: ReadonlySet<string> = new Set([
  '00'.repeat(32),
  `01${'00'.repeat(31)}`,
  'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
  '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
  `ec${'ff'.repeat(30)}7f`,
  `ed${'ff'.repeat(30)}7f`,
  `ee${'ff'.repeat(30)}7f`,
]);

/**
 * Whether `x` is the canonical base64url of a point that is safe for key agreement. With zero and the other points of small
 * order the shared secret is always zero: anyone could open a reply sealed for such a key.
 */
export function isUsablePoint(x: string): boolean {
  const bytes = Buffer.from(x, 'base64url');
  if (bytes.length !== 32 || bytes.toString('base64url') !== x) return false;
  bytes.writeUInt8(bytes.readUInt8(31) & 0x7f, 31);
  return !SMALL_ORDER.has(bytes.toString('hex'));
}

const IGNORED = 'Accepted and ignored. Libraries add it when they export a key.';

const POINT_RULE = 'must be the base64url, without padding, of the 32 bytes of a public X25519 key';

/**
 * The field `replyKey`. Members that libraries add when they export a public key (RFC 7517, 4.2 to 4.5, and WebCrypto's
 * `ext`) are accepted and dropped, unless they contradict this use of the key. Any other member is an error, above all the
 * private `d`.
 */
export const replyKeyField = z
  .strictObject(
    {
      kty: z.literal('OKP', { error: 'must be "OKP"' }).meta({ description: 'The key type (RFC 8037).' }),
      crv: z.literal('X25519', { error: 'must be "X25519"' }).meta({ description: 'The curve.' }),
      x: z
        .string({ error: POINT_RULE })
        .refine(isUsablePoint, { error: POINT_RULE })
        .meta({
          description: 'The public key: base64url of 32 bytes.',
          examples: ['hSDwCYkwp1R0i33ctD73Wg2_Og0mOBr066SpjqqbTmo'],
        }),
      use: z.literal('enc', { error: 'must be "enc" if present' }).exactOptional().meta({ description: IGNORED }),
      alg: z
        .literal('ECDH-ES', { error: 'must be "ECDH-ES" if present' })
        .exactOptional()
        .meta({ description: IGNORED }),
      kid: z
        .string({ error: 'must be text' })
        .exactOptional()
        .meta({ description: IGNORED, examples: ['reply-1'] }),
      key_ops: z
        .array(z.string({ error: 'must be text' }), { error: 'must be a list' })
        .exactOptional()
        .meta({ description: IGNORED, examples: [[]] }),
      ext: z
        .boolean({ error: 'must be true or false' })
        .exactOptional()
        .meta({ description: IGNORED, examples: [true] }),
    },
    {
      error: (issue) =>
        issue.code === 'unrecognized_keys' && issue.keys.includes('d')
          ? 'holds the private member d: make a new key and send only its public part'
          : 'must be a public JWK with kty "OKP", crv "X25519" and x',
    },
  )
  .meta({
    description:
      'A public X25519 key as a JWK. The result is then a compact JWE (ECDH-ES, A256GCM) for that key. Use a new key for each request.',
    examples: [{ kty: 'OKP', crv: 'X25519', x: 'hSDwCYkwp1R0i33ctD73Wg2_Og0mOBr066SpjqqbTmo' }],
  })
  .transform(({ kty, crv, x }): ReplyKey => ({ kty, crv, x }));
