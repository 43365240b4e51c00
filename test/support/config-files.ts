import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Config, loadConfig } from '../../src/config/config.ts';
import { AgentError } from '../../src/util/agent-errors.ts';

/** The variables that have no default. */
export const GOOD_ENV = {
  RABBITMQ_URL: 'amqp://agent:broker%40password@broker.example:5673/vhost',
  TASKCLUSTER_ROOT_URL: 'https://tc.example',
  PULSE_AGENT_SECRET: 'agent-secret-of-more-than-thirty-two-characters',
};

/** Settings files in a temporary folder. */
export interface ConfigFiles {
  readonly folder: () => string;
  /** Writes a file and returns its path. */
  readonly file: (content: string) => string;
  /** Loads the configuration from the shipped files, a file with this text, and {@link GOOD_ENV} with `env`. */
  readonly load: (yaml: string, env?: NodeJS.ProcessEnv) => Config;
}

/** For use in a `describe`: the files are removed after its tests. */
export function useConfigFiles(): ConfigFiles {
  let folder = '';
  let files = 0;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'pulse-agent-config-'));
  });
  after(() => rmSync(folder, { recursive: true }));
  const file = (content: string): string => {
    files += 1;
    const path = join(folder, `${files}.yml`);
    writeFileSync(path, content);
    return path;
  };
  return {
    folder: () => folder,
    file,
    load: (yaml, env = {}) => loadConfig({ ...GOOD_ENV, PULSE_AGENT_CONFIG: file(yaml), ...env }),
  };
}

/** The sentences of the ConfigurationFault that `load` throws; none when it succeeds. */
export function faultsOf(load: () => unknown): string[] {
  try {
    load();
  } catch (error) {
    assert.ok(error instanceof AgentError, String(error));
    assert.equal(error.code, 'ConfigurationFault');
    return error.message.split('\n');
  }
  return [];
}
