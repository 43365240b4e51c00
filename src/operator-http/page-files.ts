import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { HttpAnswer, IncomingRequest } from '../observe/http-server.ts';
import { errorAnswer, PAGE_HEADERS } from './operator-answers.ts';

interface PageFile {
  readonly contentType: string;
  readonly etag: string;
  readonly plain: Buffer;
  readonly gzipped: Buffer;
}

/** The files of the page, by their path. */
export interface PageFiles {
  answer(request: IncomingRequest): Promise<HttpAnswer>;
}

const CONTENT_TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
};

const INDEX = 'index.html';

/** Serves the files of a folder from memory. They are read at the first request; until they are there, at each one. */
export function createPageFiles(folder: string): PageFiles {
  let loading: Promise<ReadonlyMap<string, PageFile>> | undefined;

  const load = async (): Promise<ReadonlyMap<string, PageFile>> => {
    const names = await readdir(folder).catch((): string[] => []);
    const files = new Map<string, PageFile>();
    for (const name of names) {
      const contentType = CONTENT_TYPES[extname(name)];
      if (contentType === undefined) continue;
      files.set(name === INDEX ? '/' : `/${name}`, await readPageFile(join(folder, name), contentType));
    }
    return files;
  };

  return {
    async answer({ path, headers }) {
      loading ??= load();
      const files = await loading.catch((error: unknown) => {
        loading = undefined;
        throw error;
      });
      if (!files.has('/')) {
        loading = undefined;
        return errorAnswer(
          503,
          'Unavailable',
          'This working copy has no built page: run npm run build, and reload. The data are at /api/v1/ all the same.',
        );
      }
      const file = files.get(path);
      if (file === undefined) return errorAnswer(404, 'ResourceNotFound', 'There is no such path.');
      return fileAnswer(file, headers);
    },
  };
}

async function readPageFile(file: string, contentType: string): Promise<PageFile> {
  const plain = await readFile(file);
  const etag = `"${createHash('sha256').update(plain).digest('base64url').slice(0, 22)}"`;
  return { contentType, etag, plain, gzipped: await promisify(gzip)(plain, { level: 9 }) };
}

function fileAnswer(
  { contentType, etag, plain, gzipped }: PageFile,
  { 'if-none-match': known, 'accept-encoding': accepted }: IncomingRequest['headers'],
): HttpAnswer {
  // A new version of the agent has new files under the same names.
  const headers = { ...PAGE_HEADERS, 'cache-control': 'no-cache', etag, vary: 'accept-encoding' };
  if (known?.includes(etag) === true) return { status: 304, contentType, body: '', headers };
  const isGzipAccepted = typeof accepted === 'string' && /\bgzip\b(?!;q=0(?:[,\s]|$))/.test(accepted);
  if (!isGzipAccepted) return { status: 200, contentType, body: plain, headers };
  return { status: 200, contentType, body: gzipped, headers: { ...headers, 'content-encoding': 'gzip' } };
}
