import assert from 'node:assert/strict';
import { parseRoute, queryText, routeHref, tokenOfFragment } from '../../src/page/page-routes.ts';

describe('the address of a view', () => {
  it('is read back as it was written, whatever the names are', () => {
    const names = ['taskcluster-builds', 'a/b', '<img src=x>&"\'', '\u202Eabc שלום', '100%', '?a=b#c', '%2F'];
    for (const name of names) {
      const query = { queue: `queue/${name}/x`, search: name };
      assert.deepEqual(parseRoute(routeHref('namespaces', { name, query })), { view: 'namespaces', name, query });
    }
  });

  it('is that of the overview where it is unknown', () => {
    for (const fragment of ['', '#', '#/', '#/nothing', '#nothing', '#/queue/x']) {
      assert.equal(parseRoute(fragment).view, 'overview', fragment);
    }
  });

  it('has no parameters that say nothing', () => {
    assert.equal(routeHref('queues', { query: { search: '', offset: undefined } }), '#/queues');
    assert.equal(routeHref('overview'), '#/');
    assert.equal(queryText({ sort: 'growth', offset: 50 }), '?sort=growth&offset=50');
  });

  it('takes an encoding that is not valid as it is', () => {
    assert.equal(parseRoute('#/namespaces/100%').name, '100%');
  });

  it('has the token only in the link that opens the page', () => {
    assert.equal(tokenOfFragment('#token=abc%2B'), 'abc+');
    for (const fragment of ['', '#', '#token=', '#/queues?token=abc', '#/token=abc']) {
      assert.equal(tokenOfFragment(fragment), undefined, fragment);
    }
  });
});
