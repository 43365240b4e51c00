import { chmodSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { LocalRabbitMQ } from '../../dev/rabbitmq.ts';
import { type BrokerIdentity, brokerEnvironment } from '../../dev/rabbitmq-files.ts';
import { ensureRabbitMQ } from '../../dev/rabbitmq-install.ts';
import { makeFolder } from './folders.ts';

/** A PATH on which RabbitMQ's commands act on this broker. */
export async function pathWithCommandsOf({ folder }: LocalRabbitMQ): Promise<string> {
  const installation = await ensureRabbitMQ({ cacheFolder: resolve('.cache/rabbitmq'), onProgress: () => undefined });
  const identity = JSON.parse(readFileSync(join(folder, 'identity.json'), 'utf8')) as BrokerIdentity;
  const environment = Object.entries(brokerEnvironment(folder, identity, installation))
    .filter(([name]) => /^(RABBITMQ_|ERL_|HOME|LANG|LC_ALL|PATH|LD_LIBRARY_PATH)/.test(name))
    .map(([name, value]) => `export ${name}='${value}'`);
  const commands = makeFolder('commands');
  const scripts = dirname(realpathSync(join(installation.binFolder, 'rabbitmqctl')));
  for (const name of ['rabbitmqctl', 'rabbitmq-plugins']) {
    const text = ['#!/bin/sh', ...environment, `cd '${scripts}'`, `exec './${name}' "$@"`, ''].join('\n');
    writeFileSync(join(commands, name), text);
    chmodSync(join(commands, name), 0o755);
  }
  return `${commands}:${process.env['PATH']}`;
}
