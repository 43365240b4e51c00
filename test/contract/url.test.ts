import assert from 'node:assert/strict';
import {
  amqpLogin,
  amqpTarget,
  formatAmqpUrl,
  formatAmqpUrls,
  formatHttpUrl,
  InvalidUrl,
  parseAmqpUrl,
  parseAmqpUrls,
  parseHttpUrl,
  parseHttpUrls,
} from '../../src/contract/url.ts';

describe('parseAmqpUrl', () => {
  it('decodes user, password and vhost as UTF-8', () => {
    const { login, vhost } = parseAmqpUrl('amqps://j%C3%BCrgen:p%C3%A4ss%40w%2Frd@h/a%2Fb%20%C3%B6');
    assert.deepEqual(login, { username: 'jürgen', password: 'päss@w/rd' });
    assert.equal(vhost, 'a/b ö');
    assert.deepEqual(parseAmqpUrl('amqp://jürgen:päß€𝄞@h').login, { username: 'jürgen', password: 'päß€𝄞' });
  });

  for (const [url, vhost] of [
    ['amqp://h', undefined],
    ['amqp://h/', undefined],
    ['amqp://h?heartbeat=10', undefined],
    ['amqp://h/pulse-agent', 'pulse-agent'],
    ['amqp://h/%2F', '/'],
    ['amqp://h//', '/'],
    ['amqp://h/a%20b%2Fc', 'a b/c'],
    ['amqp://h/100%25', '100%'],
  ] as const) {
    it(`finds the vhost ${vhost} in ${url}`, () => assert.equal(parseAmqpUrl(url).vhost, vhost));
  }

  for (const [url, hostname] of [
    ['amqp://[::1]:5672', '::1'],
    ['amqp://RabbitMQ.Example', 'rabbitmq.example'],
    ['amqp://bücher.example', 'xn--bcher-kva.example'],
    ['amqp://rabbit_1', 'rabbit_1'],
  ] as const) {
    it(`connects to ${hostname} for ${url}`, () => assert.equal(parseAmqpUrl(url).hostname, hostname));
  }

  // Each would mean something else to one of those who read it, or nothing.
  for (const [url, reason] of [
    ['', /begins with amqp/],
    ['amqp:', /begins with amqp/],
    ['amqp:h', /begins with amqp/],
    ['amqp://', /with a host/],
    ['amqp://:5672', /with a host/],
    ['amqp://h:port', /with a host/],
    ['amqp://h:70000', /with a host/],
    ['http://h', /begins with amqp:\/\/ or amqps:\/\//],
    ['amqp://u:p%x@h', /% in its password/],
    ['amqp://u:p%@h', /% in its password/],
    ['amqp://u:p%FC@h', /% in its password/],
    ['amqp://u%zz:p@h', /% in its user/],
    ['amqp://h/%zz', /% in its vhost/],
    ['amqp://h/100%', /% in its vhost/],
    ['amqp://a%zz/', /with a host/],
    ['amqp://u:p@h ', /no space/],
    ['amqp://u:p\n@h', /line breaks/],
    ['amqp://u:p\t@h', /line breaks/],
    ['amqp://u:1#x@h', /no #/],
    ['amqp://u:1?x@h', /no @ behind the host/],
    ['amqp://u:1/x@h/v', /no @ behind the host/],
    ['amqp://h/a/b', /no further \//],
    ['amqp://h/v/', /no further \//],
    ['amqp://u@h', /password of its user/],
    ['amqp://u:@h', /password of its user/],
    ['amqp://:p@h', /user of its password/],
    ['amqp://u:a%00b@h', /no %00/],
    ['amqp://h/a%00b', /no %00/],
    [`amqp://h/${'v'.repeat(256)}`, /at most 255 bytes/],
    ['amqp://h?heartbeat=1.5', /whole number as heartbeat/],
    ['amqp://h?frameMax=', /whole number as frameMax/],
  ] as const) {
    it(`refuses ${JSON.stringify(url).slice(0, 40)}, and does not show it`, () => {
      assert.throws(
        () => parseAmqpUrl(url),
        (error) => {
          assert.ok(error instanceof InvalidUrl);
          assert.match(error.message, reason);
          return true;
        },
      );
    });
  }
});

describe('formatAmqpUrl', () => {
  for (const url of [
    'amqp://h',
    'amqps://u:p%40@[::1]:5672/pulse?heartbeat=10',
    'amqp://j%C3%BCrgen:p%C3%A4ss@h/a%2Fb',
    'amqp://u:p%25@h/%2F?a=%zz',
  ]) {
    it(`is the reverse of parsing for ${url}`, () => assert.equal(formatAmqpUrl(parseAmqpUrl(url)), url));
  }
});

describe('amqpTarget', () => {
  it('has what amqplib reads from a URL', () => {
    const target = amqpTarget(parseAmqpUrl('amqps://%C3%BC:%C3%A4@h/%2541?heartbeat=7&frameMax=0&locale=de&x=1'));
    assert.deepEqual(target, {
      protocol: 'amqps',
      hostname: 'h',
      port: 5671,
      username: 'ü',
      password: 'ä',
      // amqplib decodes it once: the vhost is "%41".
      vhost: '%2541',
      heartbeat: 7,
      frameMax: 0,
      locale: 'de',
    });
  });

  it('logs in as guest into the vhost / when the URL names neither', () => {
    const url = parseAmqpUrl('amqp://h');
    assert.deepEqual(amqpLogin(url), { username: 'guest', password: 'guest' });
    const { username, port, vhost } = amqpTarget(url);
    assert.deepEqual([username, port, vhost], ['guest', 5672, '%2F']);
  });
});

describe('parseHttpUrl', () => {
  it('separates user and password, decoded, from a URL without slashes at the end', () => {
    const url = parseHttpUrl('https://%C3%BC:p%40@[::1]:15671/rabbit/');
    assert.deepEqual(url, {
      protocol: 'https',
      hostname: '::1',
      url: 'https://[::1]:15671/rabbit',
      login: { username: 'ü', password: 'p@' },
    });
    assert.equal(formatHttpUrl(url), 'https://%C3%BC:p%40@[::1]:15671/rabbit');
  });

  for (const [url, reason] of [
    ['https:/h', /begins with http:\/\/ or https:\/\//],
    ['amqp://h', /begins with http/],
    ['http://u:p%x@h', /% in its password/],
    ['http://h/%zz', /% in its path/],
    ['http://h/?a=b', /nothing behind a \?/],
    ['http://h/#a', /no #/],
    ['http://a%3Ab:p@h', /without a colon/],
  ] as const) {
    it(`refuses ${url}`, () =>
      assert.throws(
        () => parseHttpUrl(url),
        (error) => error instanceof InvalidUrl && reason.test(error.message),
      ));
  }
});

describe('parseAmqpUrls', () => {
  const hostsOf = (text: string) => parseAmqpUrls(text).map(({ hostname }) => hostname);

  it('reads URLs with commas between them', () => {
    assert.deepEqual(hostsOf('amqps://u:p@a/v,amqps://u:p@b:5673/v, amqps://u:p@[::1]/v'), ['a', 'b', '::1']);
    assert.deepEqual(hostsOf('amqp://a'), ['a']);
  });

  it('leaves other commas to users, passwords and vhosts', () => {
    const [first, second] = parseAmqpUrls('amqp://u,1:p,,2@a/v,3,amqp://u,1:p,,2@b/v,3');
    assert.deepEqual(first.login, { username: 'u,1', password: 'p,,2' });
    assert.deepEqual([first.vhost, second?.vhost, second?.hostname], ['v,3', 'v,3', 'b']);
  });

  it('is reversed by formatting', () => {
    const text = 'amqps://u:p%2C@a:1/v?heartbeat=7,amqps://u:p%2C@b/v?heartbeat=7';
    assert.equal(formatAmqpUrls(parseAmqpUrls(text)), text);
  });

  for (const [text, reason] of [
    ['', /^must be a URL with a host that begins with amqp/],
    ['amqp://a,', /^must have a URL before and behind each comma/],
    ['amqp://a/v,', /^must have a URL before and behind each comma/],
    [',amqp://a', /^must have a URL before and behind each comma/],
    ['amqp://a,,amqp://b', /^must have a URL before and behind each comma/],
    ['amqp://a, ,amqp://b', /^must have a URL before and behind each comma/],
    ['amqp://u:p@a:5672,b:5672/v', /^must name each host in a whole URL/],
    ['amqp://a,b', /^must name each host in a whole URL/],
    ['amqp://a;amqp://b', /^must have a comma between two URLs/],
    ['amqp://a amqp://b', /^must have a comma between two URLs/],
    ['amqp://a,ampq://b', /begins with amqp/],
    ['amqp://a,http://b', /begins with amqp/],
    ['amqp://u:p@a/v,amqp://u:p%x@b/v', /% in its password/],
    ['amqp://a/v,amqp://b/w', /^must have the same vhost/],
    ['amqp://a/v,amqp://b', /^must have the same vhost/],
    ['amqp://a,amqps://b', /^must have the same scheme/],
    ['amqp://u:p@a,amqp://u:q@b', /^must have the same user and password/],
    ['amqp://u:p@a,amqp://b', /^must have the same user and password/],
    ['amqp://a?heartbeat=1,amqp://b', /^must have the same parameters/],
    ['amqp://a,amqp://a:5672', /^must name each host and port once/],
    ['amqp://A,amqp://a', /^must name each host and port once/],
    ['amqp://u:p@a\n,amqp://u:p@b', /^must have no line breaks/],
  ] as const) {
    it(`refuses ${JSON.stringify(text)} with one sentence that shows no part of it`, () => {
      assert.throws(
        () => parseAmqpUrls(text),
        (error) => {
          assert.ok(error instanceof InvalidUrl);
          assert.match(error.message, reason);
          assert.doesNotMatch(error.message, /\. |u:[pq]/);
          return true;
        },
      );
    });
  }
});

describe('parseHttpUrls', () => {
  it('reads URLs that differ in host, port and path', () => {
    const urls = parseHttpUrls('https://u:p@a:15671,https://u:p@proxy/b/').map(({ url }) => url);
    assert.deepEqual(urls, ['https://a:15671', 'https://proxy/b']);
  });

  for (const [text, reason] of [
    ['http://a,https://b', /^must have the same scheme/],
    ['http://u:p@a,http://b', /^must have the same user and password/],
    ['http://a:80,http://a', /^must name each host and port once/],
    ['http://a:15672,b:15672', /^must name each host in a whole URL/],
    ['http://a,', /^must have a URL before and behind each comma/],
  ] as const) {
    it(`refuses ${text}`, () =>
      assert.throws(
        () => parseHttpUrls(text),
        (error) => error instanceof InvalidUrl && reason.test(error.message),
      ));
  }
});
