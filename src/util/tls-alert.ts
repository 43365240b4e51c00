import { connect } from 'node:tls';

/** Where to connect. */
export interface TlsTarget {
  readonly host: string;
  readonly port: number;
  /** Trusted certificates in PEM, instead of the system's. */
  readonly ca?: string | undefined;
  readonly timeoutMs: number;
}

/**
 * The code of the error with which a TLS connection without a request ends; undefined if it ends without one, or not in
 * time. In TLS 1.3 a server refuses a client without a certificate after the handshake, and undici reports such an alert
 * as a connection that was closed.
 */
export async function tlsAlertOf({ host, port, ca, timeoutMs }: TlsTarget): Promise<string | undefined> {
  return await new Promise((resolve) => {
    const socket = connect({ host, port, ...(ca === undefined ? {} : { ca }) });
    const timer = setTimeout(() => socket.destroy(), timeoutMs);
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code));
    socket.on('close', () => {
      clearTimeout(timer);
      resolve(undefined);
    });
    socket.resume();
  });
}
