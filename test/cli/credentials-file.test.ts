import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { CredentialsFile } from '../../src/cli/credentials-file.ts';
import { UsageFault } from '../../src/cli/define-command.ts';
import { makeFolder } from '../support/folders.ts';
import { skipBecause } from '../support/skip.ts';

describe('the file of credentials', () => {
  const place = (): string => join(makeFolder('credentials'), 'amqp-url');

  it('is there as a whole at all times, while it is replaced', async () => {
    const path = place();
    const file = new CredentialsFile(path);
    const texts = Array.from({ length: 60 }, (_, index) => `${index} `.repeat(20_000));
    await file.write(texts[0] ?? '');
    const writing = (async () => {
      for (const text of texts) await file.write(text);
    })();
    const seen = new Set<string>();
    const last = texts.at(-1);
    for (let text = ''; text !== last; ) {
      text = readFileSync(path, 'utf8');
      assert.ok(texts.includes(text));
      seen.add(text);
      await new Promise(setImmediate);
    }
    await writing;
    assert.ok(seen.size > 1);
    assert.deepEqual(readdirSync(join(path, '..')), ['amqp-url'], 'no temporary file is left');
  });

  it('can be read by its owner alone, whatever the umask and the file before allow', async () => {
    const path = place();
    writeFileSync(path, 'before', { mode: 0o644 });
    const umask = process.umask(0o377);
    try {
      const file = new CredentialsFile(path);
      await file.check();
      await file.write('secret');
    } finally {
      process.umask(umask);
    }
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.equal(readFileSync(path, 'utf8'), 'secret');
  });

  it('takes the name and leaves the file that had it: another link to it stays as it was', async () => {
    const path = place();
    writeFileSync(path, 'before');
    linkSync(path, `${path}-linked`);
    await new CredentialsFile(path).write('secret');
    assert.equal(readFileSync(`${path}-linked`, 'utf8'), 'before');
  });

  const refused: readonly (readonly [what: string, why: RegExp, make: (path: string) => string])[] = [
    ['a folder that is missing', /ENOENT/, (path) => join(path, 'missing', 'file')],
    ['a file for a folder', /ENOTDIR|is no folder/, (path) => (writeFileSync(path, ''), join(path, 'file'))],
    ['a folder', /is no file/, (path) => (mkdirSync(path), path)],
    ['a device', /is no file/, () => '/dev/null'],
    ['a symbolic link', /symbolic link/, (path) => (symlinkSync('elsewhere', path), path)],
    [
      'a folder in which every user may replace files',
      /every user may/,
      (path) => (mkdirSync(path), chmodSync(path, 0o777), join(path, 'file')),
    ],
  ];
  for (const [what, why, make] of refused) {
    it(`refuses ${what}`, async () => {
      await assert.rejects(
        new CredentialsFile(make(place())).check(),
        (error) => error instanceof UsageFault && why.test(error.message),
      );
    });
  }

  it('refuses a file of another user, who could no longer read it', async function () {
    if (process.getuid?.() !== 0) skipBecause(this, 'only root can give files away');
    const path = place();
    writeFileSync(path, '');
    chownSync(path, 4711, 4711);
    await assert.rejects(new CredentialsFile(path).check(), /belongs to another user/);
  });

  it('may be in a folder for all where each may replace only what is its own', async () => {
    const folder = makeFolder('credentials');
    chmodSync(folder, 0o1777);
    await new CredentialsFile(join(folder, 'file')).check();
  });

  it('stays as it was, without a temporary file, where it cannot be replaced', async () => {
    const path = place();
    const file = new CredentialsFile(path);
    mkdirSync(join(path, 'in-the-way'), { recursive: true });
    await assert.rejects(file.write('secret'), { code: 'EISDIR' });
    assert.deepEqual(readdirSync(join(path, '..')), ['amqp-url']);
    rmSync(path, { recursive: true });
    await file.write('secret');
    assert.equal(readFileSync(path, 'utf8'), 'secret');
  });

  it('removes temporary files of processes that were killed, and nothing else', async () => {
    const folder = makeFolder('credentials');
    const old = ['.pulse-agent-credentials-0123456789ab.tmp', '.pulse-agent-credentials-mine', 'old'];
    for (const name of old) {
      writeFileSync(join(folder, name), '');
      lutimesSync(join(folder, name), 1, 1);
    }
    const another = '.pulse-agent-credentials-ba9876543210.tmp';
    writeFileSync(join(folder, another), 'of a process that is writing');
    await new CredentialsFile(join(folder, 'file')).write('secret');
    assert.deepEqual(readdirSync(folder).toSorted(), [another, ...old.slice(1), 'file'].toSorted());
  });

  it('is removed only while it is the one that was written', async () => {
    const path = place();
    const [first, second] = [new CredentialsFile(path), new CredentialsFile(path)];
    await first.write('first');
    await second.write('second');
    first.remove();
    assert.equal(readFileSync(path, 'utf8'), 'second');
    second.remove();
    second.remove();
    assert.ok(!existsSync(path));
    new CredentialsFile(path).remove();
  });
});
