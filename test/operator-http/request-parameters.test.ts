import assert from 'node:assert/strict';
import { matchPath, readParameters } from '../../src/operator-http/request-parameters.ts';

describe('the parameters of a request', () => {
  for (const [query, expected] of [
    [undefined, {}],
    ['', {}],
    ['a=1&b=x%20y', { a: '1', b: 'x y' }],
    ['a=x+y&&b', { a: 'x y', b: '' }],
    ['a=1=2', { a: '1=2' }],
    ['%E2%82%AC=%00', { '€': '\0' }],
    ['__proto__=x&constructor=y', { ['__proto__']: 'x', constructor: 'y' }],
  ] as const) {
    it(`of ${query}`, () => {
      const found = readParameters(query);
      assert.ok('parameters' in found);
      assert.deepEqual(Object.entries(found.parameters), Object.entries(expected));
    });
  }

  for (const [query, problem] of [
    ['a=%', /begins no character/],
    ['a=%C3%28', /begins no character/],
    ['a=1&a=2', /The parameter a is there twice/],
    ['name=other', /The parameter name is there twice/],
  ] as const) {
    it(`names what is wrong with ${query}`, () => {
      const found = readParameters(query, { name: 'x' });
      assert.match('problem' in found ? found.problem : '', problem);
    });
  }

  for (const [form, path, expected] of [
    ['/api/v1/queues', '/api/v1/queues', {}],
    ['/api/v1/queues', '/api/v1/queues/', undefined],
    ['/api/v1/namespaces/:name', '/api/v1/namespaces/a%2Fb+c', { name: 'a/b+c' }],
    ['/api/v1/namespaces/:name', '/api/v1/namespaces/', undefined],
    ['/api/v1/namespaces/:name', '/api/v1/namespaces/a/b', undefined],
    ['/api/v1/namespaces/:name', '/api/v1/namespaces/%FF', undefined],
    ['/api/v1/namespaces/:name', '/api/v1/namespaces', undefined],
  ] as const) {
    it(`of the path ${path} as ${form}`, () => assert.deepEqual(matchPath(form, path), expected));
  }
});
