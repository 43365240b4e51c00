/**
 * Serves the operators' page with made-up data of 10,000 namespaces, for who works on it: no agent and no RabbitMQ is
 * needed, and the page is bundled again at each load. `npm run page -- --port 8090 --events 100`.
 */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { createPageFiles, type PageFiles } from '../../src/operator-http/page-files.ts';
import { bundlePage } from '../bundle-page.ts';
import { startSamplePage } from './sample-page.ts';

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '8090' },
    /** Events in a second. */
    events: { type: 'string', default: '0.5' },
    token: { type: 'string', default: 'made-up-token' },
  },
});

const folder = mkdtempSync(join(tmpdir(), 'page-'));

/** The files of the page as its sources are at the moment. */
async function bundledFiles(): Promise<PageFiles> {
  console.log(`The page has ${await bundlePage(folder)} bytes gzipped.`);
  return createPageFiles(join(folder, 'page'));
}

let files = bundledFiles();
const { url } = await startSamplePage({
  files: {
    async answer(request) {
      if (request.path === '/') files = bundledFiles();
      return await (await files).answer(request);
    },
  },
  port: Number(values.port),
  token: values.token,
  eventsPerSecond: Number(values.events),
});
console.log(url);
