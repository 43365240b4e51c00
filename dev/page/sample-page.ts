import { createHttpServer } from '../../src/observe/http-server.ts';
import { endpointsOf } from '../../src/operator-api/endpoint.ts';
import { createEventRing } from '../../src/operator-http/event-ring.ts';
import { createEventStream } from '../../src/operator-http/event-stream.ts';
import { createOperatorHandler } from '../../src/operator-http/operator-handler.ts';
import type { PageFiles } from '../../src/operator-http/page-files.ts';
import { createTokenCheck } from '../../src/operator-http/token-check.ts';
import { systemClock, systemSleep } from '../../src/util/clock.ts';
import { createLog } from '../../src/util/log.ts';
import { Secret } from '../../src/util/secret.ts';
import { sampleAnswers } from './sample-answers.ts';
import { sampleEvent } from './sample-events.ts';

const INSTANCE = 'pulse-agent-0-1b2c3d4e';
const HOST = '127.0.0.1';

/** How many events the page finds when it is opened, and how far they are apart, in ms. */
const EARLIER_EVENTS = 200;
const EARLIER_EVERY_MS = 9000;

const MIN_TICK_MS = 50;

/** The page with made-up data of 10,000 namespaces, as an agent serves it. */
export interface SamplePage {
  readonly origin: string;
  /** The link with the token. */
  readonly url: string;
  /** How many events happen in a second from now on. */
  setEventsPerSecond(count: number): void;
  close(): Promise<void>;
}

/**
 * Starts it.
 *
 * @param options.port 0: any free one
 */
export async function startSamplePage(options: {
  readonly files: PageFiles;
  readonly port: number;
  readonly token: string;
  readonly eventsPerSecond: number;
}): Promise<SamplePage> {
  const log = createLog({ logLevel: 'warn', id: 'pulse-agent' }, process.stderr);
  const timing = { clock: systemClock, sleep: systemSleep };
  const ring = createEventRing(INSTANCE, { agents: 'all' });
  const server = createHttpServer({ host: HOST, port: options.port, routes: {}, log });
  server.mount(
    createOperatorHandler({
      settings: { httpHost: HOST, operatorHosts: [] },
      checkToken: createTokenCheck({ token: new Secret(options.token), log, ...timing }),
      endpoints: () => endpoints,
      events: createEventStream({ instance: INSTANCE, ring, ...timing }),
      files: options.files,
      log,
    }),
  );
  const endpoints = endpointsOf(sampleAnswers());
  let number = 0;
  for (; number < EARLIER_EVENTS; number += 1) {
    ring.add(sampleEvent(number, Date.now() - (EARLIER_EVENTS - number) * EARLIER_EVERY_MS));
  }
  let timer: NodeJS.Timeout | undefined;
  const setEventsPerSecond = (count: number): void => {
    clearInterval(timer);
    const tickMs = Math.max(MIN_TICK_MS, 1000 / count);
    let owed = 0;
    timer = setInterval(() => {
      for (owed += (count * tickMs) / 1000; owed >= 1; owed -= 1) ring.add(sampleEvent(number++, Date.now()));
    }, tickMs);
  };
  await server.start();
  setEventsPerSecond(options.eventsPerSecond);
  const origin = `http://${HOST}:${server.port}`;
  return {
    origin,
    url: `${origin}/#token=${options.token}`,
    setEventsPerSecond,
    async close() {
      clearInterval(timer);
      await server.close();
    },
  };
}
