import assert from 'node:assert/strict';
import { clientEnvironment, TEAM, type TestInstallation } from './agent.ts';
import { type CommandResult, type CommandRun, jsonLines, runCommandLine, runToEnd } from './command-line.ts';

/** Commands with the environment of a client of an installation, unless they are given another one. */
export interface ClientCommands {
  readonly environment: (clientId?: string) => Record<string, string>;
  readonly start: (args: readonly string[], env?: Record<string, string>) => Promise<CommandRun>;
  readonly run: (args: readonly string[], env?: Record<string, string>) => Promise<CommandResult>;
  /** Runs it with `--json`; it has to succeed without a note. */
  readonly runJson: (args: readonly string[], env?: Record<string, string>) => Promise<Record<string, unknown>[]>;
}

export function clientCommands(installation: () => TestInstallation): ClientCommands {
  const environment = (clientId = TEAM): Record<string, string> => clientEnvironment(installation(), clientId);
  return {
    environment,
    start: (args, env = environment()) => runCommandLine(args, env),
    run: (args, env = environment()) => runToEnd(args, env),
    async runJson(args, env = environment()) {
      const { exitCode, stdout, stderr } = await runToEnd([...args, '--json'], env);
      assert.equal(exitCode, 0, stderr);
      assert.equal(stderr, '');
      return jsonLines(stdout);
    },
  };
}
