import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { loadConfig } from '../../src/config/config.ts';
import { fileSettings, SETTING_MEANINGS } from '../../src/config/settings.ts';
import { AGENT_ERRORS } from '../../src/util/agent-errors.ts';
import { readDocument, rowsByName, section } from './documents.ts';

const configuration = readDocument('configuration.md');
const defaults: Record<string, unknown> = parse(
  readFileSync(new URL('../../config/default.yml', import.meta.url), 'utf8'),
);

/** The variables that a start reads, recorded by a proxy of the environment. */
function variablesRead(): string[] {
  const read = new Set<string>();
  const note = (name: string | symbol): void => {
    if (typeof name === 'string') read.add(name);
  };
  const given: NodeJS.ProcessEnv = {
    RABBITMQ_URL: 'amqp://localhost',
    TASKCLUSTER_ROOT_URL: 'http://localhost',
    PULSE_AGENT_SECRET: 'x'.repeat(32),
  };
  loadConfig(
    new Proxy(given, {
      get(target, name) {
        note(name);
        return typeof name === 'string' ? target[name] : undefined;
      },
    }),
  );
  return [...read];
}

describe('docs/configuration.md', () => {
  it('has every setting with its default, and no other', () => {
    const rows = rowsByName(section(configuration, '## Settings'));
    assert.deepEqual([...rows.keys()].toSorted(), Object.keys(defaults).toSorted());
    for (const [setting, value] of Object.entries(defaults)) {
      const shown =
        value === null ? 'none' : `\`${typeof value === 'string' ? value || '""' : JSON.stringify(value)}\``;
      assert.equal(rows.get(setting)?.[1], shown, setting);
    }
  });

  it('has every environment variable, and no other', () => {
    const rows = rowsByName(section(configuration, '## Environment variables'));
    const read = variablesRead();
    assert.ok(read.length > 5);
    const withoutFiles = read.filter((name) => !read.includes(name.replace(/_FILE$/, '')) || !name.endsWith('_FILE'));
    assert.deepEqual([...rows.keys()].toSorted(), withoutFiles.toSorted());
  });

  it('says which variables may be read from a file', () => {
    const read = variablesRead();
    for (const [name, cells] of rowsByName(section(configuration, '## Environment variables'))) {
      assert.equal(cells[1], read.includes(`${name}_FILE`) ? 'yes' : 'no', name);
    }
  });

  it('describes every setting in the order of its schema', () => {
    const names = [...rowsByName(section(configuration, '## Settings')).keys()];
    assert.deepEqual(names, Object.keys(fileSettings.shape));
    for (const [name, { description }] of SETTING_MEANINGS) assert.match(description, /^[A-Z`].*[^.]$/, name);
  });
});

describe('docs/monitoring.md', () => {
  it('has every error of the agent', () => {
    const rows = rowsByName(section(readDocument('monitoring.md'), '## Errors of the agent'));
    assert.deepEqual([...rows.keys()].toSorted(), Object.keys(AGENT_ERRORS).toSorted());
  });
});
