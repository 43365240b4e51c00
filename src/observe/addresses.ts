import { isIPv4 } from 'node:net';

/** Whether the host is this machine. */
export function isLoopback(host: string): boolean {
  const bare = host.replace(/^\[|\]$/g, '').toLowerCase();
  if (bare === 'localhost' || bare.endsWith('.localhost') || bare === '::1') return true;
  return isIPv4(bare) && bare.startsWith('127.');
}

/** The hosts of a MongoDB URL, which may list several, without their ports; none for other URLs. */
export function mongoHosts(storeUrl: string): string[] {
  const hosts = /^mongodb(?:\+srv)?:\/\/(?:[^@/?]*@)?([^/?]+)/.exec(storeUrl)?.[1] ?? '';
  // Without unix sockets, whose percent-encoded paths are on this machine.
  return hosts
    .split(',')
    .map((host) => host.replace(/:\d+$/, ''))
    .filter((host) => host !== '' && !/%2f/i.test(host));
}

/** Whether the URL is a MongoDB URL without TLS, which is on by default for mongodb+srv and off for mongodb. */
export function isMongoWithoutTls(storeUrl: string): boolean {
  const match = /^mongodb(\+srv)?:\/\/[^?]*(?:\?(.*))?$/s.exec(storeUrl);
  if (match === null) return false;
  const options = new URLSearchParams(match[2] ?? '');
  const tls = options.get('tls') ?? options.get('ssl');
  return tls === null ? match[1] === undefined : tls !== 'true';
}
