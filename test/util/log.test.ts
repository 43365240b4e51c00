import assert from 'node:assert/strict';
import { createLog } from '../../src/util/log.ts';
import { Secret } from '../../src/util/secret.ts';

/** A log, and the text that it has written. */
function logTo(level: 'info' | 'error'): { log: ReturnType<typeof createLog>; text: () => string } {
  const lines: string[] = [];
  const log = createLog({ id: 'pulse-agent', logLevel: level }, { write: (line) => void lines.push(line) });
  return { log, text: () => lines.join('') };
}

describe('createLog', () => {
  it('writes one JSON object a line, with agent, time and level', () => {
    const { log, text } = logTo('info');
    log.info({ code: 'no_unknown_users', a: 1 }, 'message');
    assert.match(text(), /^[^\n]+\n$/);
    const line = JSON.parse(text()) as Record<string, unknown>;
    assert.equal(line['level'], 'info');
    assert.equal(line['agent'], 'pulse-agent');
    assert.equal(line['code'], 'no_unknown_users');
    assert.equal(line['msg'], 'message');
    assert.equal(new Date(String(line['time'])).toISOString(), line['time']);
  });

  it('leaves out lines below its level', () => {
    const { log, text } = logTo('error');
    log.warn({ code: 'job_failed' }, 'quiet');
    assert.equal(text(), '');
  });

  it('writes the message, code and causes of an error', () => {
    const { log, text } = logTo('info');
    log.error({ code: 'http_request_failed', err: new Error('outer', { cause: new Error('inner') }) }, 'failed');
    assert.match(text(), /outer.*inner/);
  });

  it('writes no secret, down to two objects deep, also of a child', () => {
    const { log, text } = logTo('info');
    const fields = {
      password: 'hidden',
      password_hash: 'hidden',
      passwordHash: 'hidden',
      authorization: 'hidden',
      Authorization: 'hidden',
      connectionString: 'hidden',
      accessToken: 'hidden',
    };
    log.info({ code: 'namespace_deleted', ...fields }, 'at the top');
    log.info({ code: 'namespace_deleted', a: fields }, 'one deep');
    log.info({ code: 'namespace_deleted', a: { b: fields } }, 'two deep');
    log.child({ a: fields }).info({ code: 'namespace_deleted' }, 'child');
    log.info(
      { code: 'namespace_deleted', url: new Secret('hidden'), err: Object.assign(new Error('e'), { headers: fields }) },
      'in an error',
    );
    assert.equal(text().trim().split('\n').length, 5);
    assert.doesNotMatch(text(), /hidden/);
  });
});
