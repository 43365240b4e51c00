import { randomBytes } from 'node:crypto';
import { mkdirSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { addCleanup } from './cleanup.ts';
import { entries } from './leftovers.ts';

/**
 * Where tests keep their files: inside the working copy, in a folder of this run, which the test runner names, or of this
 * process.
 */
export function testFolder(): string {
  return process.env['PULSE_AGENT_TEST_FOLDER'] ?? resolve('.cache/tests', String(process.pid));
}

/** Called by the root hooks only. A folder that is not empty stays, and the run reports it. */
export function removeTestFolder(): void {
  if (entries(testFolder()).length === 0) rmSync(testFolder(), { recursive: true, force: true });
}

/** A name that no other test uses. */
export function unique(prefix: string): string {
  return `${prefix}-${randomBytes(6).toString('hex')}`;
}

/** A new empty folder, removed after the test (or, made outside of one, after the run). */
export function makeFolder(prefix: string): string {
  const folder = join(testFolder(), unique(prefix));
  mkdirSync(folder, { recursive: true });
  addCleanup(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
