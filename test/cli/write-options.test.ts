import assert from 'node:assert/strict';
import { formatCredentials } from '../../src/cli/credentials-format.ts';
import { UsageFault } from '../../src/cli/define-command.ts';
import { readWriteOptions, type WriteOptions } from '../../src/cli/write-options.ts';

describe('the options of claim --write', () => {
  it('have defaults', () => {
    assert.equal(readWriteOptions({}, false), undefined);
    assert.deepEqual(readWriteOptions({ write: 'file' }, false), {
      path: 'file',
      format: 'url',
      onChange: undefined,
      onChangeTimeoutMs: 60_000,
      signal: undefined,
      leave: false,
    });
  });

  it('name a signal with or without SIG', () => {
    for (const signal of ['HUP', 'hup', 'SIGHUP']) {
      assert.equal(readWriteOptions({ write: 'file', signal }, true)?.signal, 'SIGHUP');
    }
  });

  const refused: readonly (readonly [what: string, options: WriteOptions, sentence: RegExp])[] = [
    ['one without --write', { leave: true }, /need --write/],
    ['a format without --write', { format: 'url' }, /need --write/],
    ['an empty name', { write: '' }, /name of a file/],
    ['a format that there is not', { write: 'f', format: 'yaml' }, /one of url, env, json/],
    ['a command and a signal', { write: 'f', onChange: 'true', signal: 'HUP' }, /not both/],
    ['a signal without a program', { write: 'f', signal: 'HUP' }, /needs a program/],
    ['an empty command', { write: 'f', onChange: ' ' }, /a command/],
    ['a time without a command', { write: 'f', onChangeTimeout: '5s' }, /needs --on-change/],
    ['a time that is none', { write: 'f', onChange: 'true', onChangeTimeout: 'soon' }, /such as 30s/],
    ['no time', { write: 'f', onChange: 'true', onChangeTimeout: '0s' }, /such as 30s/],
    ['a time that is too long', { write: 'f', onChange: 'true', onChangeTimeout: '2h' }, /at most 1h/],
  ];
  for (const [what, options, sentence] of refused) {
    it(`refuse ${what}`, () => {
      assert.throws(
        () => readWriteOptions(options, false),
        (error) => error instanceof UsageFault && sentence.test(error.message),
      );
    });
  }

  it('refuse a signal that there is not', () => {
    for (const signal of ['', 'NONE', '1', 'toString']) {
      assert.throws(() => readWriteOptions({ write: 'f', signal }, true), /name of a signal/);
    }
  });
});

describe('the format of credentials', () => {
  const [one, two] = ['amqp://u-1:p_w-d@a.example:5672/%2F', 'amqp://u-1:p_w-d@b.example:5672/%2F'];
  const held = {
    namespace: 'taskcluster-x',
    connectionString: one,
    connectionStrings: [one, two],
    reclaimAt: new Date(0),
    expires: new Date(1000),
  };

  it('url: one line', () => {
    assert.equal(formatCredentials('url', held), `${one}\n`);
  });

  it('env: variables, with quotes only where a shell needs them', () => {
    assert.equal(
      formatCredentials('env', held),
      `PULSE_CONNECTION_STRING=${one}\nPULSE_CONNECTION_STRINGS=${one},${two}\n`,
    );
    const withOptions = { ...held, connectionString: `${one}?heartbeat=30&frameMax=0` };
    assert.match(formatCredentials('env', withOptions), /^PULSE_CONNECTION_STRING='amqp:.*&frameMax=0'\n/);
  });

  it('json: an object with the times', () => {
    assert.deepEqual(JSON.parse(formatCredentials('json', held)), {
      namespace: 'taskcluster-x',
      connectionString: one,
      connectionStrings: [one, two],
      reclaimAt: '1970-01-01T00:00:00.000Z',
      expires: '1970-01-01T00:00:01.000Z',
    });
  });
});
