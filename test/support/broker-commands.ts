import { chmodSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { LocalRabbitMQ } from '../../dev/rabbitmq.ts';
import { brokerEnvironment, keptIdentity } from '../../dev/rabbitmq-files.ts';
import { BROKER_COMMANDS, ensureRabbitMQ } from '../../dev/rabbitmq-install.ts';
import { makeFolder } from './folders.ts';

/** A PATH on which RabbitMQ's commands act on this broker, or on this node of a cluster. */
export async function pathWithCommandsOf({ folder }: LocalRabbitMQ): Promise<string> {
  const installation = await ensureRabbitMQ({ cacheFolder: resolve('.cache/rabbitmq'), onProgress: () => undefined });
  const identity = keptIdentity(folder);
  if (identity === undefined) throw new Error(`${folder} has no broker.`);
  const environment = Object.entries(brokerEnvironment(folder, identity, installation))
    .filter(([name]) => /^(RABBITMQ_|ERL_|HOME|LANG|LC_ALL|PATH|LD_LIBRARY_PATH)/.test(name))
    .map(([name, value]) => `export ${name}='${value}'`);
  const commands = makeFolder('commands');
  for (const name of BROKER_COMMANDS) {
    const command = installation.command(name).map((word) => `'${word}'`);
    const text = [
      '#!/bin/sh',
      ...environment,
      `cd '${installation.workingFolder ?? folder}'`,
      `exec ${command.join(' ')} "$@"`,
      '',
    ].join('\n');
    writeFileSync(join(commands, name), text);
    chmodSync(join(commands, name), 0o755);
  }
  return `${commands}:${process.env['PATH']}`;
}
