import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

interface LockedPackage {
  readonly link?: boolean;
  readonly integrity?: string;
  readonly resolved?: string;
}

describe('package-lock.json', () => {
  const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8')) as {
    packages: Record<string, LockedPackage>;
  };
  const locked = Object.entries(packages).filter(([path, { link }]) => path !== '' && link !== true);

  it('has the integrity of every package, also of those for other platforms', () => {
    const missing = locked
      .filter(([, { integrity }]) => integrity?.startsWith('sha512-') !== true)
      .map(([path]) => path);
    assert.ok(locked.length > 100);
    assert.deepEqual(missing, []);
  });

  it('names no download address', () => {
    assert.deepEqual(
      locked.filter(([, { resolved }]) => resolved !== undefined).map(([path]) => path),
      [],
    );
  });
});
