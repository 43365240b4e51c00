import type { BrokerNodes } from './broker-nodes.ts';

/** The broker's management API, for what the run itself sets up and checks. It shares no code with the agent. */
export interface AdminApi {
  /**
   * One call to a node that is up.
   *
   * @throws Error for any status that is not 2xx, and while no node answers
   */
  call<T>(method: 'GET' | 'POST' | 'PUT', path: string, body?: object): Promise<T>;
  /** A listing; undefined while no node answers it. */
  list<T>(path: string): Promise<readonly T[] | undefined>;
}

const TIMEOUT_MS = 20_000;

/** Uses the administrator that the nodes were started with. */
export function createAdminApi(brokers: BrokerNodes): AdminApi {
  const authorization = `Basic ${Buffer.from(`${brokers.user}:${brokers.password}`).toString('base64')}`;
  let turn = 0;
  const call = async <T>(method: string, path: string, body?: object): Promise<T> => {
    const up = brokers.up();
    const index = up[(turn += 1) % Math.max(1, up.length)];
    if (index === undefined) throw new Error('No node is up.');
    const response = await fetch(`http://127.0.0.1:${brokers.managementPort(index)}/api${path}`, {
      method,
      headers: { authorization, 'content-type': 'application/json', connection: 'close' },
      signal: AbortSignal.timeout(TIMEOUT_MS),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text.slice(0, 200)}`);
    return (text === '' ? undefined : JSON.parse(text)) as T;
  };
  return {
    call,
    async list<T>(path: string) {
      try {
        return await call<readonly T[]>('GET', path);
      } catch {
        return undefined;
      }
    },
  };
}
