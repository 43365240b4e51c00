/**
 * Serves the operators' page with made-up data of 10,000 namespaces, for who works on it: no agent and no RabbitMQ is
 * needed, and the page is bundled again at each load. `npm run page -- --port 8090 --events 100`.
 */
import { createServer, type ServerResponse } from 'node:http';
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { endpointsOf, readEndpoint } from '../../src/operator-api/endpoint.ts';
import type { EventView, StreamLine } from '../../src/operator-api/schemas.ts';
import { bundlePage, PAGE_FILES } from '../bundle-page.ts';
import { sampleAnswers } from './sample-answers.ts';
import { sampleEvent } from './sample-events.ts';

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '8090' },
    /** Events in a second. */
    events: { type: 'string', default: '0.5' },
    token: { type: 'string', default: 'made-up' },
  },
});

const TYPES: Readonly<Record<string, string>> = {
  html: 'text/html; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  css: 'text/css; charset=utf-8',
  svg: 'image/svg+xml',
};
const HEADERS = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
};

const folder = mkdtempSync(join(tmpdir(), 'page-'));
const endpoints = endpointsOf(sampleAnswers());
let events = 0;

function answer(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, {
    ...HEADERS,
    'content-type': 'application/json; charset=utf-8',
    'cache-control': 'no-store',
  });
  response.end(JSON.stringify(body));
}

async function serveFile(path: string, response: ServerResponse): Promise<void> {
  const file = path === '/' ? 'index.html' : path.slice(1);
  if (!PAGE_FILES.includes(file))
    return answer(response, 404, { error: { code: 'NotFound', message: 'No such file.' } });
  if (file === 'index.html') console.log(`the page has ${await bundlePage(folder)} bytes gzipped`);
  response.writeHead(200, {
    ...HEADERS,
    'content-type': TYPES[file.split('.').at(-1) ?? ''],
    'cache-control': 'no-cache',
  });
  response.end(readFileSync(join(folder, 'page', file)));
}

async function serveData(path: string, search: URLSearchParams, response: ServerResponse): Promise<void> {
  const [, name] = /^\/api\/v1\/namespaces\/(.+)$/.exec(path) ?? [];
  const wanted = name === undefined ? path : '/api/v1/namespaces/:name';
  const endpoint = endpoints.find((one) => one.path === wanted);
  if (endpoint === undefined) return answer(response, 404, { error: { code: 'NotFound', message: 'No such path.' } });
  const parameters = {
    ...Object.fromEntries(search),
    ...(name === undefined ? {} : { name: decodeURIComponent(name) }),
  };
  const result = await readEndpoint(endpoint, parameters, AbortSignal.timeout(10_000));
  if (result.is === 'answer') return answer(response, 200, result.body);
  const [status, message] = result.is === 'invalid' ? [400, result.problem] : [404, 'There is no such thing.'];
  return answer(response, status, { error: { code: result.is, message } });
}

function serveEvents(namespaces: string | null, response: ServerResponse): void {
  response.writeHead(200, { ...HEADERS, 'content-type': 'application/x-ndjson; charset=utf-8' });
  const writeLine = (line: StreamLine): void => void response.write(`${JSON.stringify(line)}\n`);
  const write = (event: EventView): void => {
    if (namespaces === null || event.namespace === namespaces) writeLine({ event });
  };
  writeLine({ stream: 'pulse-agent-0-1b2c3d4e', gap: false, agents: 'all' });
  for (let number = 0; number < 200; number += 1) write(sampleEvent(number, Date.now() - (200 - number) * 9000));
  const perSecond = Number(values.events);
  const tickMs = Math.max(50, 1000 / perSecond);
  let owed = 0;
  const timer = setInterval(() => {
    for (owed += (perSecond * tickMs) / 1000; owed >= 1; owed -= 1) write(sampleEvent(1000 + events++, Date.now()));
  }, tickMs);
  response.on('close', () => clearInterval(timer));
}

createServer((request, response) => {
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://page');
  const serve = async (): Promise<void> => {
    if (!pathname.startsWith('/api/v1/')) return await serveFile(pathname, response);
    if (request.headers.authorization !== `Bearer ${values.token}`) {
      return answer(response, 401, { error: { code: 'Unauthorized', message: 'The token is wrong or missing.' } });
    }
    if (pathname === '/api/v1/events') return serveEvents(searchParams.get('namespaces'), response);
    return await serveData(pathname, searchParams, response);
  };
  serve().catch((error: unknown) => {
    console.error(error);
    if (!response.headersSent) answer(response, 500, { error: { code: 'Failed', message: String(error) } });
  });
}).listen(Number(values.port), '127.0.0.1', () => {
  console.log(`http://127.0.0.1:${values.port}/#token=${values.token}`);
});
