import { isIPv4 } from 'node:net';

/** Whether only this machine reaches a host of this name. */
export function isLoopback(host: string): boolean {
  const bare = host.replace(/^\[|\]$/g, '').toLowerCase();
  if (bare === 'localhost' || bare.endsWith('.localhost') || bare === '::1') return true;
  return isIPv4(bare) && bare.startsWith('127.');
}

/** The hosts of a MongoDB URL, which may name several, without their ports; none for other URLs. */
export function mongoHosts(storeUrl: string): string[] {
  const hosts = /^mongodb(?:\+srv)?:\/\/(?:[^@/?]*@)?([^/?]+)/.exec(storeUrl)?.[1] ?? '';
  // The path of a unix socket is percent-encoded: only this machine has it.
  return hosts
    .split(',')
    .map((host) => host.replace(/:\d+$/, ''))
    .filter((host) => host !== '' && !/%2f/i.test(host));
}

/** Whether a URL is one of MongoDB without TLS. By itself mongodb+srv has it, and mongodb has not. */
export function isMongoWithoutTls(storeUrl: string): boolean {
  const match = /^mongodb(\+srv)?:\/\/[^?]*(?:\?(.*))?$/s.exec(storeUrl);
  if (match === null) return false;
  const said = new URLSearchParams(match[2] ?? '');
  const tls = said.get('tls') ?? said.get('ssl');
  return tls === null ? match[1] === undefined : tls !== 'true';
}
