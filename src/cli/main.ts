#!/usr/bin/env -S node --max-semi-space-size=2 --optimize-for-size
// The options keep the resident memory of an agent small; the bench shows what they are worth.
import { AgentError } from '../errors.ts';
import { adopt } from './adopt.ts';
import type { Command } from './command.ts';
import { serve } from './serve.ts';

const COMMANDS: Readonly<Record<string, Command>> = { serve, adopt };

/** Exit codes: 0 done; 1 it failed; 2 it was called or configured wrongly. */
async function main(args: readonly string[]): Promise<number> {
  const [name, ...rest] = args;
  if (name === undefined || name === '--help' || name === '-h') {
    console.log(usage());
    return name === undefined ? 2 : 0;
  }
  const command = COMMANDS[name];
  if (command === undefined) {
    console.error(`pulse-agent: there is no command ${name}.\n\n${usage()}`);
    return 2;
  }
  if (rest.includes('--help') || rest.includes('-h')) {
    console.log(`pulse-agent ${name}: ${command.summary}\n\n${command.help}`);
    return 0;
  }
  return await command.run(rest);
}

function usage(): string {
  const lines = Object.entries(COMMANDS).map(([name, { summary }]) => `  ${name.padEnd(8)} ${summary}`);
  return `Usage: pulse-agent <command> [--help]\n\n${lines.join('\n')}`;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (error instanceof AgentError) {
    for (const sentence of error.message.split('\n')) console.error(`pulse-agent: ${sentence}`);
    process.exitCode = error.code === 'ConfigurationFault' ? 2 : 1;
  } else {
    console.error(error);
    process.exitCode = 1;
  }
}
