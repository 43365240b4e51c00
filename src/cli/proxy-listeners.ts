import { readFile } from 'node:fs/promises';
import { isIPv6 } from 'node:net';
import { UsageFault } from './define-command.ts';

/** Where the proxy of a namespace listens. */
export interface ProxyListener {
  readonly namespace: string;
  readonly host: string;
  readonly port: number;
  /** The password that clients have to give; undefined: any. */
  readonly password: string | undefined;
}

const DEFAULT_ADDRESS = '127.0.0.1:5673';

/**
 * Reads the options of the command `proxy`.
 *
 * @param namespaces each with `@` and a port where it has one of its own
 * @throws UsageFault
 */
export async function proxyListeners(
  namespaces: readonly string[],
  address: string = DEFAULT_ADDRESS,
  passwordFile?: string,
): Promise<ProxyListener[]> {
  const { host, port } = hostAndPort(address);
  if (!isLoopback(host) && passwordFile === undefined) {
    throw new UsageFault(
      `Other machines reach ${host}: give a password with --password-file, or listen on an address of loopback such as 127.0.0.1.`,
    );
  }
  const password = passwordFile === undefined ? undefined : await passwordIn(passwordFile);
  const listeners = namespaces.map((given) => {
    const [namespace = '', own, ...more] = given.split('@');
    if (namespace === '' || more.length > 0) {
      throw new UsageFault('Give --namespace as a name, or as name@port, such as taskcluster-builds@5674.');
    }
    return { namespace, host, port: own === undefined ? port : portOf(own, '--namespace'), password };
  });
  for (const [what, values] of [
    ['namespace', listeners.map(({ namespace }) => namespace)],
    ['port', listeners.map((one) => one.port).filter((one) => one !== 0)],
  ] as const) {
    if (new Set<unknown>(values).size < values.length) {
      throw new UsageFault(`Give each --namespace a ${what} of its own, as name@port.`);
    }
  }
  return listeners;
}

function hostAndPort(address: string): { readonly host: string; readonly port: number } {
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d+)$/.exec(address) ?? [];
  const host = bracketed ?? plain;
  if (host === undefined || port === undefined || (bracketed !== undefined && !isIPv6(bracketed))) {
    throw new UsageFault('Give --listen as an address and a port, such as 127.0.0.1:5673 or [::1]:5673.');
  }
  return { host, port: portOf(port, '--listen') };
}

function portOf(text: string, option: string): number {
  if (!/^\d{1,5}$/.test(text) || Number(text) > 65_535) {
    throw new UsageFault(`Give the port in ${option} as a number of at most 65535; 0: any that is free.`);
  }
  return Number(text);
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(?:\.\d{1,3}){3}$/.test(host);
}

async function passwordIn(file: string): Promise<string> {
  let text: string;
  try {
    text = (await readFile(file, 'utf8')).replace(/\r?\n$/, '');
  } catch (error) {
    throw new UsageFault(`The file of --password-file cannot be read: ${(error as Error).message}.`);
  }
  if (text === '' || text.includes('\0')) throw new UsageFault('The file of --password-file must hold a password.');
  return text;
}
