import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { loadConfig } from '../../src/config/config.ts';
import { AGENT_ERRORS } from '../../src/util/agent-errors.ts';
import { readDocument, rowsByName, section } from './documents.ts';

const operations = readDocument('operations.md');
const defaults: Record<string, unknown> = parse(
  readFileSync(new URL('../../config/default.yml', import.meta.url), 'utf8'),
);

/** The variables that a start reads, seen by an environment that notes what it is asked for. */
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

describe('docs/operations.md', () => {
  it('has every setting with its default, and no other', () => {
    const rows = rowsByName(section(operations, '### Settings'));
    assert.deepEqual([...rows.keys()].toSorted(), Object.keys(defaults).toSorted());
    for (const [setting, value] of Object.entries(defaults)) {
      const shown =
        value === null ? 'none' : `\`${typeof value === 'string' ? value || '""' : JSON.stringify(value)}\``;
      assert.equal(rows.get(setting)?.[1], shown, setting);
    }
  });

  it('has every environment variable, and no other', () => {
    const rows = rowsByName(section(operations, '### Environment'));
    const read = variablesRead();
    assert.ok(read.length > 5);
    const withoutFiles = read.filter((name) => !read.includes(name.replace(/_FILE$/, '')) || !name.endsWith('_FILE'));
    assert.deepEqual([...rows.keys()].toSorted(), withoutFiles.toSorted());
  });

  it('tells which variables may be read from a file', () => {
    const read = variablesRead();
    for (const [name, cells] of rowsByName(section(operations, '### Environment'))) {
      assert.equal(cells[1], read.includes(`${name}_FILE`) ? 'yes' : 'no', name);
    }
  });

  it('has every failure of the agent', () => {
    const rows = rowsByName(section(operations, '## When it does not start or does not work'));
    assert.deepEqual([...rows.keys()].toSorted(), Object.keys(AGENT_ERRORS).toSorted());
  });
});
