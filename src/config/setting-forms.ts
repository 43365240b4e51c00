import { X509Certificate } from 'node:crypto';
import * as z from 'zod';
import { InvalidUrl, parseHttpUrl } from '../contract/url.ts';
import { readNamePattern } from '../util/name-pattern.ts';

export const string = z.string({ error: 'must be a string' });

export const countForm = z.int({ error: 'must be a whole number' }).min(1, { error: 'must be at least 1' });

/** The name of a vhost, which AMQP has as a short string. */
export const vhostName = string
  .min(1, { error: 'must be the name of a virtual host' })
  .refine((name) => Buffer.byteLength(name) <= 255 && !name.includes('\0'), {
    error: 'must be the name of a virtual host, of at most 255 bytes',
  });

/** A string that `parse` can read. What it throws says why not, and continues "The setting …". */
export function parseable(parse: (text: string) => unknown) {
  return string.superRefine((text, context) => {
    try {
      parse(text);
    } catch (error) {
      context.addIssue({ code: 'custom', message: (error as Error).message });
    }
  });
}

/** The root URL is public: clients, logs and the start report have it. */
export function parseRootUrl(text: string): void {
  if (parseHttpUrl(text).login !== undefined) throw new InvalidUrl('must have no user and no password');
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----/gs;

/** One certificate or several. A private key beside them would be passed to every connection, and is refused. */
export function isCertificates(value: string): boolean {
  const certificates = value.match(CERTIFICATE) ?? [];
  return (
    certificates.length > 0 && !value.includes('PRIVATE KEY') && certificates.every((one) => canParseCertificate(one))
  );
}

function canParseCertificate(pem: string): boolean {
  try {
    return new X509Certificate(pem).subject !== undefined;
  } catch {
    return false;
  }
}

/** A pattern over whole names, which can be matched in linear time. */
export const namePatternForm = string.refine(isNamePattern, {
  error: 'must be a regular expression, without look-around and back-references',
});

function isNamePattern(value: string): boolean {
  try {
    readNamePattern(value);
    return true;
  } catch {
    return false;
  }
}
