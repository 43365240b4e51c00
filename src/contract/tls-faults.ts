/** Why a TLS handshake failed, as far as an operator can act on it. */
export type TlsFault = 'untrusted' | 'certificate-wanted' | 'not-tls';

const BY_CODE: readonly (readonly [code: RegExp, fault: TlsFault])[] = [
  // The server's certificate: its CA, its time, its host name. In the codes of OpenSSL and of Node.
  [
    /^(CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|ERR_TLS_CERT_|INVALID_CA|INVALID_PURPOSE|HOSTNAME_MISMATCH|ERR_SSL_.*_TOO_(WEAK|SMALL)$)/,
    'untrusted',
  ],
  // Alerts with which a server refuses a client without a certificate.
  [/ALERT_(CERTIFICATE_REQUIRED|HANDSHAKE_FAILURE|BAD_CERTIFICATE|UNKNOWN_CA)$/, 'certificate-wanted'],
  // What a plain port sends back to a TLS handshake.
  [/^(EPROTO|ERR_SSL_WRONG_VERSION_NUMBER|ERR_SSL_PACKET_LENGTH_TOO_LONG)$/, 'not-tls'],
];

/** The fault of TLS in an error of a socket; undefined for any other error. */
export function tlsFaultOf(error: unknown): TlsFault | undefined {
  return tlsFaultIn(tlsCodeOf(error));
}

/** The same for the code of an error, as {@link tlsCodeOf} returns it. */
export function tlsFaultIn(code: string): TlsFault | undefined {
  return BY_CODE.find(([pattern]) => pattern.test(code))?.[1];
}

/** The code of an error of a socket. An alert that comes while a request is written has EPROTO, and its name in the message. */
export function tlsCodeOf(error: unknown): string {
  if (!(error instanceof Error) || !('code' in error)) return '';
  const code = String(error.code);
  const alert = code === 'EPROTO' ? /:\w+ (alert [a-z ]+):/.exec(error.message)?.[1] : undefined;
  return alert === undefined ? code : `ERR_SSL_${alert.toUpperCase().replaceAll(' ', '_')}`;
}
