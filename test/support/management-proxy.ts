import http, { type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { addCleanup } from './cleanup.ts';

/** A reverse proxy in front of the management API, which a test can misconfigure. */
export interface ManagementProxy {
  readonly port: number;
  /** Every request so far, as `<method> <path>`, without its query. */
  readonly requests: readonly string[];
  /** Decodes `%2F` in paths, as nginx does with a path in `proxy_pass`. */
  decodeSlashes: boolean;
  /** Answers these requests as a node that is stopping: 404, whatever the path is. */
  isStopping: (request: Pick<IncomingMessage, 'method' | 'url'>) => boolean;
}

/** Recorded from RabbitMQ 3.10.8 right after SIGTERM. RabbitMQ's other 404 answers have the header `vary`. */
const OF_STOPPING_NODE = {
  headers: { 'content-type': 'application/json', server: 'Cowboy' },
  body: '{"error":"Object Not Found","reason":"Not Found"}',
};

/** Makes a proxy to a management API; it is closed after the test, or after the file. */
export async function makeManagementProxy(managementPort: number): Promise<ManagementProxy> {
  const requests: string[] = [];
  const server = http.createServer((request, response) => {
    const { method = 'GET', url = '/', headers } = request;
    requests.push(`${method} ${url.split('?', 1)[0]}`);
    if (proxy.isStopping(request)) {
      request.resume();
      response.writeHead(404, OF_STOPPING_NODE.headers).end(OF_STOPPING_NODE.body);
      return;
    }
    const path = proxy.decodeSlashes ? url.replaceAll(/%2f/gi, '/') : url;
    const forwarded = http.request({ host: '127.0.0.1', port: managementPort, method, path, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    forwarded.on('error', () => response.destroy());
    request.pipe(forwarded);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  addCleanup(() => {
    server.closeAllConnections();
    server.close();
  });
  const proxy: ManagementProxy = {
    port: (server.address() as AddressInfo).port,
    requests,
    decodeSlashes: false,
    isStopping: () => false,
  };
  return proxy;
}

/** A stopping node that answers only the first request that matches. */
export function stoppingOnce(method: string, pathEnd: string): ManagementProxy['isStopping'] {
  let isOver = false;
  return (request) => {
    if (isOver || request.method !== method || !request.url?.split('?', 1)[0]?.endsWith(pathEnd)) return false;
    isOver = true;
    return true;
  };
}
