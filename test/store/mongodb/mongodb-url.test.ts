import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { inspect } from 'node:util';
import { MongoServerError } from 'mongodb';
import { systemClock } from '../../../src/util/clock.ts';
import { AgentError } from '../../../src/util/agent-errors.ts';
import { openMongoStore } from '../../../src/store/mongodb/mongodb-store.ts';
import { mongoUnavailable } from '../../../src/store/mongodb/mongodb-errors.ts';
import { forcedOptions } from '../../../src/store/mongodb/mongodb-client.ts';
import { parseMongoUrl, redact } from '../../../src/config/mongodb-url.ts';
import { mongoDatabase, useSharedMongoDB } from '../../support/mongodb.ts';

const LOGIN = 'somebody:hunter2-%C3%BC';
const SECRETS = ['hunter2-%C3%BC', 'hunter2-ü'];

/** Everything that a log or a console could show of a value. */
function shown(value: unknown): string {
  const error = value instanceof Error ? `${value.stack}${String(value.cause)}${JSON.stringify(value)}` : '';
  return `${inspect(value, { depth: 20, showHidden: true })}${error}`;
}

function assertNoSecret(value: unknown): void {
  for (const secret of SECRETS) assert.ok(!shown(value).includes(secret), shown(value));
}

describe('a MongoDB URL', () => {
  it('names the database, by default pulse-agent', () => {
    assert.equal(parseMongoUrl('mongodb://a,b:27018/').database, 'pulse-agent');
    assert.equal(parseMongoUrl('mongodb+srv://a').database, 'pulse-agent');
    assert.equal(parseMongoUrl('mongodb://u:p@a,b/my%2Ddb?tls=true').database, 'my-db');
  });

  it('cannot change the options that the agent depends on, in any letter case', () => {
    const kept = 'replicaSet=rs&authSource=admin&tls=true';
    const dropped =
      'w=0&J=false&JOURNAL=false&wTimeoutMS=1&wtimeout=1&fsync=0&readConcernLevel=local&readPreference=nearest' +
      '&readPreferenceTags=dc:x&maxStalenessSeconds=90&retryWrites=false&retryReads=false&timeoutMS=0' +
      '&serverSelectionTimeoutMS=1&socketTimeoutMS=0&connectTimeoutMS=0&waitQueueTimeoutMS=0';
    assert.equal(parseMongoUrl(`mongodb://${LOGIN}@a/x?${dropped}&${kept}`).url, `mongodb://${LOGIN}@a/x?${kept}`);
    assert.equal(parseMongoUrl(`mongodb://a?${dropped}`).url, 'mongodb://a/');
  });

  it('gets time-outs for every step', () => {
    const options = forcedOptions(5000);
    // Sooner than the operation, so that the error has the reason of the driver.
    assert.equal(options.serverSelectionTimeoutMS, 4000);
    for (const name of ['connectTimeoutMS', 'socketTimeoutMS', 'waitQueueTimeoutMS']) {
      assert.equal((options as Record<string, unknown>)[name], 5000);
    }
    assert.deepStrictEqual(options.writeConcern, { w: 'majority', journal: true, wtimeoutMS: 5000 });
  });

  it('that cannot be parsed is a ConfigurationFault that does not show it', async () => {
    for (const url of [
      `mongodb://${LOGIN}@`,
      `mongodb://${LOGIN}`,
      `mongodb://somebody:hunter2-ü@@host/`,
      `mongodb://${LOGIN}%@host/`,
      `mongodb://${LOGIN}@host/?nonsense=${LOGIN}`,
      `mongodb://${LOGIN}@host/?tls=perhaps`,
      `mongodb://${LOGIN}@host:port/`,
    ]) {
      await assert.rejects(openMongoStore({ url, clock: systemClock, randomBytes }), (error) => {
        assert.ok(error instanceof AgentError && error.code === 'ConfigurationFault', url);
        assertNoSecret(error);
        return true;
      });
    }
  });

  it('has its secrets redacted in the messages of the driver', () => {
    const target = parseMongoUrl(`mongodb://${LOGIN}@a/?tlsCertificateKeyFilePassword=c%20d`);
    const text = `mongodb://${LOGIN}@a/: password hunter2-ü or ${LOGIN}; c%20d and c d`;
    const said = redact(text, target.secrets);
    for (const secret of [...SECRETS, 'c%20d', 'c d']) assert.ok(!said.includes(secret), said);
    const cause = new MongoServerError({ message: text, code: 18, command: LOGIN, uri: `mongodb://${LOGIN}@a` });
    const error = mongoUnavailable(cause, target);
    assert.match(error.message, /^MongoDB at a does not answer as it should \(MongoServerError 18: .*\)\. Check .*\.$/);
    assertNoSecret(error);
    assert.equal(redact('nothing to hide', parseMongoUrl('mongodb://user:@a/').secrets), 'nothing to hide');
  });

  it('does not show in errors when no server answers', async () => {
    const url = `mongodb://${LOGIN}@127.0.0.1:1/x`;
    await assert.rejects(openMongoStore({ url, clock: systemClock, randomBytes, timeoutMs: 300 }), (error) => {
      assert.ok(error instanceof AgentError && error.code === 'StoreUnavailable');
      assertNoSecret(error);
      return true;
    });
  });

  describe('of a server that answers', () => {
    const mongodb = useSharedMongoDB();
    it('does not show in the store', async () => {
      const url = new URL(mongoDatabase(mongodb()));
      // Nothing authenticates with it; the driver keeps it with its options all the same.
      url.searchParams.set('tlsCertificateKeyFilePassword', 'hunter2-ü');
      const store = await openMongoStore({ url: url.href, clock: systemClock, randomBytes });
      try {
        assertNoSecret(store);
      } finally {
        await store.close();
      }
    });
  });
});
