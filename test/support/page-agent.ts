import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { freePorts } from '../../dev/processes.ts';
import { addCleanup } from './cleanup.ts';
import { runCommandLine } from './command-line.ts';

/** The token of operators in tests. */
export const OPERATOR_TOKEN = 'test-operator-0123456789abcdefghijklmnopqrstuv';

const PATIENCE_MS = 60_000;

/** An agent in its own process that serves the page for operators. */
export interface PageAgent {
  readonly port: number;
  /** Without a slash at its end. */
  readonly origin: string;
  /** Opens the page with the token. */
  readonly link: string;
  /** Everything it has logged. */
  readonly log: () => string;
  /** Stops it as SIGTERM does. */
  stop(): Promise<void>;
  kill(): Promise<void>;
}

/**
 * Starts the built agent of an installation with its page, and waits until it serves requests.
 *
 * @param environment of the installation
 * @param port that of an agent before it; a free one when absent
 */
export async function startPageAgent(environment: Readonly<Record<string, string>>, port?: number): Promise<PageAgent> {
  const [free = 0] = port === undefined ? await freePorts(1) : [port];
  const run = await runCommandLine(['serve'], pageEnvironment(environment, free));
  const origin = `http://127.0.0.1:${free}`;
  await untilReady(origin, run.stdout);
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    run.signal(signal);
    await run.exited;
  };
  return {
    port: free,
    origin,
    link: `${origin}/#token=${OPERATOR_TOKEN}`,
    log: () => run.stdout() + run.stderr(),
    stop: () => end('SIGTERM'),
    kill: () => end('SIGKILL'),
  };
}

/** The variables with which an agent serves the page. */
export function pageEnvironment(
  environment: Readonly<Record<string, string>>,
  port: number,
): Readonly<Record<string, string>> {
  return { ...environment, HTTP_PORT: String(port), PULSE_AGENT_OPERATOR_TOKEN: OPERATOR_TOKEN };
}

async function untilReady(origin: string, log: () => string): Promise<void> {
  const deadlineMs = performance.now() + PATIENCE_MS;
  for (;;) {
    const ready = await fetch(`${origin}/readyz`, { headers: { connection: 'close' } }).catch(() => undefined);
    if (ready?.status === 200) return;
    if (performance.now() > deadlineMs) throw new Error(`The agent did not become ready:\n${log()}`);
    await delay(100);
  }
}

/** A reverse proxy that shows the page of an agent below a path. */
export interface PagePrefixProxy {
  /** Where the page is, with a slash at its end. */
  readonly url: string;
  readonly origin: string;
  /** The URL and the referrer of each request that reached it. */
  readonly seen: readonly string[];
}

/**
 * Starts a reverse proxy in front of a page. It is closed after the test.
 *
 * @param token added to each request, as single sign-on does
 */
export async function startPrefixProxy(target: PageAgent, prefix: string, token?: string): Promise<PagePrefixProxy> {
  const seen: string[] = [];
  const server = createServer((incoming, outgoing) => {
    seen.push(`${incoming.url ?? ''} ${incoming.headers.referer ?? ''}`);
    if (incoming.url?.startsWith(prefix) !== true) {
      outgoing.writeHead(404).end();
      return;
    }
    const headers = { ...incoming.headers, ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) };
    const path = `/${incoming.url.slice(prefix.length)}`;
    const passed = request({ port: target.port, method: incoming.method, path, headers, agent: false }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    passed.once('error', () => outgoing.destroy());
    outgoing.once('close', () => passed.destroy());
    incoming.pipe(passed);
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  addCleanup(async () => {
    server.closeAllConnections();
    await new Promise((closed) => server.close(closed));
  });
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { url: `${origin}${prefix}`, origin, seen };
}
