import assert from 'node:assert/strict';
import { parseBody } from '../../../src/broker/management/response-body.ts';

describe('the body of a response of the management API', () => {
  it('is parsed, or is its text where that is not JSON', () => {
    assert.deepEqual(parseBody('{"name":"x"}'), { name: 'x' });
    assert.equal(parseBody('<html>'), '<html>');
    assert.deepEqual(parseBody('{"state":"down","state":"running"}'), { state: 'down' });
  });

  it('costs no error where it is empty', () => {
    const { parse } = JSON;
    let calls = 0;
    JSON.parse = (text) => {
      calls += 1;
      return parse(text) as unknown;
    };
    try {
      assert.equal(parseBody(''), '');
    } finally {
      JSON.parse = parse;
    }
    assert.equal(calls, 0);
  });
});
