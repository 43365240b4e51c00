import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { freePorts, spawnTied } from '../../dev/processes.ts';
import { ensureUnpackedProgram, NGINX } from '../../dev/unpacked-program.ts';
import { addCleanup } from './cleanup.ts';
import { makeFolder } from './folders.ts';
import { skipBecause } from './skip.ts';

/** A reverse proxy of one server. */
export interface Nginx {
  readonly url: string;
  /** All that it has logged. */
  log(): string;
}

/** For use in a `before`: the path of nginx; without it the tests of the suite are skipped. */
export async function nginxOrSkip(context: Mocha.Context): Promise<string> {
  try {
    return await ensureUnpackedProgram(NGINX, '.cache');
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return skipBecause(context, `no nginx on PATH, and Debian's package nginx cannot be had: ${reason}`);
  }
}

/** Starts nginx with what a server of its configuration holds; it ends after the test, or after the run. */
export async function startNginx(program: string, server: string): Promise<Nginx> {
  const folder = makeFolder('nginx');
  const [port = 0] = await freePorts(1);
  const log = join(folder, 'log');
  const kinds = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  for (const kind of kinds) mkdirSync(join(folder, kind));
  const configuration = [
    // Otherwise root would have a user without rights read this folder.
    ...(userInfo().uid === 0 ? ['user root;'] : []),
    'daemon off;',
    'worker_processes 1;',
    `pid ${folder}/pid;`,
    `error_log ${log} info;`,
    'events { worker_connections 64; }',
    'http {',
    `  access_log ${log};`,
    ...kinds.map((kind) => `  ${kind}_temp_path ${folder}/${kind};`),
    `  server { listen 127.0.0.1:${port};\n${server}\n  }`,
    '}',
  ];
  const file = join(folder, 'nginx.conf');
  writeFileSync(file, configuration.join('\n'));
  const outputFd = openSync(join(folder, 'output'), 'w');
  const child = await spawnTied(program, ['-e', log, '-p', folder, '-c', file], { env: process.env, outputFd });
  closeSync(outputFd);
  addCleanup(() => child.stop(2_000));
  const nginx: Nginx = { url: `http://127.0.0.1:${port}`, log: () => readFileSync(log, 'utf8') };
  while (child.running()) {
    const answered = await fetch(nginx.url).catch(() => undefined);
    await answered?.arrayBuffer();
    if (answered !== undefined) return nginx;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`nginx has ended: ${nginx.log()}`);
}
