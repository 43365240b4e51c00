import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeFolder } from './folders.ts';

/** A private CA and a certificate that it signed, for `localhost` and 127.0.0.1 unless said: paths, except `ca` (PEM). */
export interface Certificates {
  readonly ca: string;
  readonly caFile: string;
  readonly certificateFile: string;
  readonly keyFile: string;
}

/** Makes a CA with openssl; its files are removed after the test, or after the file. `names` are those of the certificate. */
export function makeCertificates(names: string = 'DNS:localhost,IP:127.0.0.1'): Certificates {
  const folder = makeFolder('certificates');
  const file = (name: string): string => join(folder, name);
  const openssl = (command: string): void => {
    execFileSync('openssl', command.split(' '), { cwd: folder, stdio: 'pipe' });
  };
  const newKey = '-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes';
  const asCa = '-addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign';
  openssl(`req -x509 ${newKey} -keyout ca.key -out ca.pem -days 2 -subj /CN=private-ca ${asCa}`);
  openssl(`req ${newKey} -keyout server.key -out server.csr -subj /CN=localhost`);
  writeFileSync(file('server.ext'), `subjectAltName=${names}\nextendedKeyUsage=serverAuth\n`);
  const signed = '-CA ca.pem -CAkey ca.key -CAcreateserial -extfile server.ext -days 2';
  openssl(`x509 -req -in server.csr ${signed} -out server.pem`);
  return {
    ca: readFileSync(file('ca.pem'), 'utf8'),
    caFile: file('ca.pem'),
    certificateFile: file('server.pem'),
    keyFile: file('server.key'),
  };
}
