import { readFileSync } from 'node:fs';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { createServer } from 'node:tls';
import { type Certificates, makeCertificates } from './certificates.ts';
import { addCleanup } from './cleanup.ts';

/** Serves TLS in front of a plain server of this machine; closed after the test, or after the file. Returns its port. */
export async function makeTlsRelay(port: number, { certificateFile, keyFile }: Certificates): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer({ cert: readFileSync(certificateFile), key: readFileSync(keyFile) }, (near) => {
    const far = connect(port, '127.0.0.1');
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
    }
    near.pipe(far).pipe(near);
    near.on('close', () => far.destroy());
    far.on('close', () => near.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  addCleanup(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

/** A TLS server with a certificate for `names` that answers nothing; closed after the test. Returns its port, and its CA. */
export async function startTlsServer(names?: string): Promise<{ readonly port: number; readonly ca: string }> {
  const { ca, certificateFile, keyFile } = makeCertificates(names);
  const server = createServer({ cert: readFileSync(certificateFile), key: readFileSync(keyFile) }, (socket) => {
    socket.on('error', () => undefined);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  addCleanup(() => void server.close());
  return { port: (server.address() as AddressInfo).port, ca };
}
