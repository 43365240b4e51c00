import assert from 'node:assert/strict';
import { isWireErrorCode, WireError } from '../../src/contract/wire-errors.ts';
import { AGENT_ERRORS, AgentError, type AgentErrorCode } from '../../src/util/agent-errors.ts';
import { toWireError } from '../../src/requests/answer.ts';

describe('toWireError', () => {
  it('returns a wire error unchanged', () => {
    const error = new WireError('ResourceNotFound', 'There is no such thing.');
    assert.equal(toWireError(error), error);
  });

  it('returns the meaning of an AgentError without its message', () => {
    for (const code of Object.keys(AGENT_ERRORS) as AgentErrorCode[]) {
      const error = new AgentError(code, 'mongodb://user:hidden@h', { cause: new Error('hidden') });
      const wire = toWireError(error);
      assert.equal(wire.code, AGENT_ERRORS[code].wire);
      assert.ok(isWireErrorCode(wire.code));
      assert.equal(wire.retryable, true);
      assert.ok(wire.message.startsWith(AGENT_ERRORS[code].meaning));
      assert.doesNotMatch(JSON.stringify(wire.toBody()), /hidden/);
      assert.equal(wire.cause, error);
    }
  });

  it('turns a timeout into Unavailable', () => {
    for (const signal of [AbortSignal.abort(), AbortSignal.abort(new DOMException('late', 'TimeoutError'))]) {
      assert.equal(toWireError(signal.reason).code, 'Unavailable');
    }
  });

  it('turns everything else into InternalServerError without details', () => {
    for (const fault of [new TypeError('hidden'), 'hidden', undefined, null, { message: 'hidden' }]) {
      const wire = toWireError(fault);
      assert.equal(wire.code, 'InternalServerError');
      assert.doesNotMatch(JSON.stringify(wire.toBody()), /hidden/);
    }
  });
});
