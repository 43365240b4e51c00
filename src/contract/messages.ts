import type { z } from 'zod';
import { WireError } from './wire-errors.ts';
import { JsonFault, parseStrictJson, quoted } from './json.ts';
import { METHODS, type MethodName, type RequestBody, type ResultBody } from './methods.ts';
import { MAX_REQUEST_BYTES } from './names.ts';

/**
 * Parses the body of a request.
 *
 * @param size the size of the body in bytes, when `bytes` may be only a part of it
 * @throws WireError `InputError` with one sentence that names the field and the rule.
 * @example
 * parseRequestBody('get-namespace', Buffer.from('{"namespace":"taskcluster-x"}')); // { namespace: 'taskcluster-x' }
 */
export function parseRequestBody<M extends MethodName>(
  method: M,
  bytes: Uint8Array,
  size = bytes.length,
): RequestBody<M> {
  if (size > MAX_REQUEST_BYTES) {
    throw fault('body', `The body must be at most ${MAX_REQUEST_BYTES} bytes; it has ${size}.`);
  }
  const input = parseJson(bytes);
  if (typeof input !== 'object' || input === null || Array.isArray(input)) {
    throw new WireError('InputError', 'The body must be a JSON object.');
  }
  const parsed = METHODS[method].body.safeParse(input);
  if (parsed.success) return parsed.data as RequestBody<M>;
  throw faultOf(input, parsed.error.issues);
}

/**
 * Parses the JSON of a result.
 *
 * @throws WireError `InternalServerError` if it does not follow the contract, which is a fault of the agent.
 */
export function parseResult<M extends MethodName>(method: M, bytes: Uint8Array): ResultBody<M> {
  let input: unknown;
  try {
    input = parseStrictJson(bytes);
  } catch (error) {
    const reason = error instanceof JsonFault ? error.message : 'cannot be read';
    throw new WireError('InternalServerError', `The result of ${method} ${reason}.`, { cause: error });
  }
  const parsed = METHODS[method].result.safeParse(input);
  if (parsed.success) return parsed.data as ResultBody<M>;
  const where = parsed.error.issues[0]?.path.join('.') ?? '';
  throw new WireError(
    'InternalServerError',
    `The result of ${method} does not follow the contract${where === '' ? '' : ` at ${where}`}.`,
    { cause: parsed.error },
  );
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return parseStrictJson(bytes);
  } catch (error) {
    if (error instanceof JsonFault) {
      throw new WireError('InputError', `The body ${error.message}.`);
    }
    throw error;
  }
}

function faultOf(input: object, issues: readonly z.core.$ZodIssue[]): WireError {
  // A misspelt field is both unknown and missing under its right name. The unknown one explains more.
  const issue = issues.find(({ code }) => code === 'unrecognized_keys') ?? issues[0];
  if (issue === undefined) return new WireError('InputError', 'The body does not follow the contract.');
  const path = issue.path.join('.');
  if (issue.code === 'unrecognized_keys') {
    if (issue.keys.includes('d') && path === 'replyKey') return fault(path, `The field ${path} ${issue.message}.`);
    const field = [...issue.path, issue.keys[0] ?? ''].join('.');
    return fault(field, `The field ${quoted(field)} is unknown: leave it out.`);
  }
  if (valueAt(input, issue.path) === undefined)
    return fault(path, `The field ${path} is missing: it ${issue.message}.`);
  return fault(path, `The field ${path} ${issue.message}.`);
}

function fault(field: string, message: string): WireError {
  return new WireError('InputError', message, { details: { field: field.slice(0, 128) } });
}

function valueAt(input: object, path: readonly PropertyKey[]): unknown {
  let value: unknown = input;
  for (const key of path) {
    if (typeof value !== 'object' || value === null) return undefined;
    value = Object.getOwnPropertyDescriptor(value, key)?.value;
  }
  return value;
}
