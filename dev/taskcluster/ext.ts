import { createHmac, timingSafeEqual } from 'node:crypto';
import scopeLibrary from 'taskcluster-lib-scopes';
import * as z from 'zod';
import type { ExpandScopes } from './roles.ts';

/** The token that a signature is checked with, and the rights of its signer. */
export interface Rights {
  readonly accessToken: string;
  /** Milliseconds since the epoch. */
  readonly expiresMs: number;
  readonly scopes: readonly string[];
}

/** The decoded `ext` attribute of a Hawk header, unchecked. */
export type Ext = Record<string, unknown>;

const LEEWAY_MS = 5 * 60 * 1000;
const LONGEST_MS = 31 * 24 * 60 * 60 * 1000;
const SEED_LENGTH = 44;

const scopeSchema = z.custom<string>(scopeLibrary.validScope, 'must be a valid scope');
const rule = (text: string): { error: string } => ({ error: `ext.certificate${text}` });

// In the order in which the service checks: it decides which message a certificate with two faults gets.
const certificateSchema = z.looseObject(
  {
    version: z.literal(1, rule('.version must be 1')),
    seed: z.string(rule('.seed must be a string')).length(SEED_LENGTH, rule(`.seed must be ${SEED_LENGTH} characters`)),
    start: z.number(rule('.start must be a number')),
    expiry: z.number(rule('.expiry must be a number')),
    scopes: z.array(z.unknown(), rule('.scopes must be an array')).pipe(z.array(scopeSchema)),
    // issuerOf has checked it: text, or a value that counts as none.
    issuer: z.unknown().optional(),
    signature: z.unknown().optional(),
  },
  rule(' must be a JSON object'),
);

type Certificate = z.output<typeof certificateSchema>;

/**
 * Decodes `ext`: base64 of a JSON object with `certificate` and `authorizedScopes`, both optional.
 *
 * @throws Error with the auth service's message
 */
export function parseExt(text: string): Ext {
  let ext: unknown;
  try {
    ext = JSON.parse(Buffer.from(text, 'base64').toString('utf8'));
  } catch {
    throw new Error('Failed to parse ext');
  }
  // The service does not expect it, and answers with the error of its runtime.
  if (ext === null) throw new Error("Cannot read properties of null (reading 'certificate')");
  return isRecord(ext) ? ext : {};
}

/**
 * The client whose access token the signature uses: the issuer for named temporary credentials, otherwise the signer.
 *
 * @throws Error with the auth service's message
 */
export function issuerOf(ext: Ext | undefined, clientId: string): string {
  const certificate = ext?.['certificate'];
  const issuer = isRecord(certificate) ? certificate['issuer'] : undefined;
  if (!issuer) return clientId;
  if (typeof issuer !== 'string') throw new Error('ext.certificate.issuer must be a string');
  if (issuer === clientId) throw new Error('ext.certificate.issuer must differ from the supplied clientId');
  return issuer;
}

/**
 * Limits the issuer's rights by the certificate and the authorizedScopes of `ext`.
 *
 * @throws Error with the auth service's message when either is malformed, forged, expired or exceeds the issuer's scopes
 */
export function limitByExt(
  ext: Ext,
  clientId: string,
  issuer: string,
  rights: Rights,
  expandScopes: ExpandScopes,
  nowMs: number,
): Rights {
  let limited = rights;
  if (ext['certificate']) limited = limitByCertificate(ext['certificate'], clientId, issuer, rights, nowMs);
  if (!ext['authorizedScopes']) return limited;

  const authorized = ext['authorizedScopes'];
  if (!Array.isArray(authorized)) throw new Error('ext.authorizedScopes must be an array');
  if (!authorized.every((scope) => scopeLibrary.validScope(scope))) {
    throw new Error('ext.authorizedScopes must be an array of valid scopes');
  }
  // Every client has the scopes of `assume:anonymous`, so any client may list them.
  const held = expandScopes([...limited.scopes, 'assume:anonymous']);
  if (!scopeLibrary.satisfiesExpression(held, { AllOf: authorized })) {
    throw new Error(
      `Supplied credentials do not satisfy authorizedScopes; credentials have scopes:\n\n${fenced(held)}\n\n` +
        `authorizedScopes are:\n\n${fenced(authorized)}`,
    );
  }
  return { ...limited, scopes: authorized };
}

function limitByCertificate(value: unknown, clientId: string, issuer: string, rights: Rights, nowMs: number): Rights {
  const certificate = checkForm(value);
  if (certificate.start > nowMs + LEEWAY_MS) throw new Error('ext.certificate.start > now');
  if (certificate.expiry < nowMs - LEEWAY_MS) throw new Error('ext.certificate.expiry < now');
  if (certificate.expiry - certificate.start > LONGEST_MS) {
    throw new Error('ext.certificate cannot last longer than 31 days!');
  }
  if (issuer !== clientId) {
    const needed = `auth:create-client:${clientId}`;
    if (!scopeLibrary.satisfiesExpression(rights.scopes, needed)) {
      throw new Error(`ext.certificate issuer \`${issuer}\` doesn't have \`${needed}\` for supplied clientId.`);
    }
  } else if ('clientId' in certificate) {
    throw new Error('ext.certificate.clientId must only be used with ext.certificate.issuer');
  }
  if (!scopeLibrary.satisfiesExpression(rights.scopes, { AllOf: certificate.scopes })) {
    throw new Error(
      `ext.certificate issuer \`${issuer}\` doesn't satisfy all certificate scopes ${certificate.scopes.join(', ')}.  ` +
        'The temporary credentials were not generated correctly.',
    );
  }
  checkSignature(certificate, clientId, rights.accessToken);
  return {
    accessToken: createHmac('sha256', rights.accessToken).update(certificate.seed).digest('base64url'),
    expiresMs: Math.min(rights.expiresMs, certificate.expiry),
    scopes: certificate.scopes,
  };
}

function checkForm(value: unknown): Certificate {
  // To the service a list is an object, too.
  const result = certificateSchema.safeParse(Array.isArray(value) ? Object.assign({}, value) : value);
  if (result.success) return result.data;
  const [first] = result.error.issues;
  const inScopes = first?.path[0] === 'scopes' && first.path.length > 1;
  throw new Error(inScopes ? 'ext.certificate.scopes must be an array of valid scopes' : first?.message);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function checkSignature(certificate: Certificate, clientId: string, accessToken: string): void {
  const { issuer } = certificate;
  const named = typeof issuer === 'string' && issuer !== '' ? [`clientId:${clientId}`, `issuer:${issuer}`] : [];
  const signed = [
    'version:1',
    ...named,
    `seed:${certificate.seed}`,
    `start:${certificate.start}`,
    `expiry:${certificate.expiry}`,
    'scopes:',
    ...certificate.scopes,
  ].join('\n');
  const expected = createHmac('sha256', accessToken).update(signed).digest('base64');
  if (typeof certificate.signature !== 'string' || !sameText(certificate.signature, expected)) {
    const reason = certificate.issuer ? ', or wrong clientId provided' : '';
    throw new Error(`ext.certificate.signature is not valid${reason}`);
  }
}

/** Compares two texts in constant time. */
export function sameText(a: string, b: string): boolean {
  const [bytesOfA, bytesOfB] = [Buffer.from(a), Buffer.from(b)];
  return bytesOfA.length === bytesOfB.length && timingSafeEqual(bytesOfA, bytesOfB);
}

function fenced(lines: readonly string[]): string {
  return ['```', ...lines, '```'].join('\n');
}
