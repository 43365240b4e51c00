import { access, constants, open, rm, stat } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { UsageFault } from './define-command.ts';

/** In the place of a file: standard output or standard input. */
export const STANDARD_STREAM = '-';

const OWNER_ONLY = 0o600;

/**
 * Writes a file that only its owner can read, to the disk. A part of it is removed when that fails.
 *
 * @throws UsageFault when the file exists, or cannot be created
 */
export async function writePrivateFile(path: string, chunks: AsyncIterable<string>): Promise<void> {
  const file = await open(path, 'wx', OWNER_ONLY).catch((error: unknown) => {
    throw new UsageFault(`The file ${path} cannot be created (${codeOf(error)}): choose another name.`);
  });
  try {
    // The umask may have taken rights; it cannot have added any.
    for await (const chunk of chunks) await file.writeFile(chunk);
    await file.sync();
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  } finally {
    await file.close();
  }
}

/** Writes to standard output as fast as its reader reads. */
export async function writeToStandardOutput(chunks: AsyncIterable<string>): Promise<void> {
  await pipeline(Readable.from(chunks), process.stdout, { end: false });
}

/**
 * Whether a file can be read more than once: a pipe cannot.
 *
 * @throws UsageFault when it cannot be read at all
 */
export async function isReadableAgain(path: string): Promise<boolean> {
  try {
    await access(path, constants.R_OK);
    const found = await stat(path);
    if (!found.isDirectory()) return found.isFile();
  } catch (error) {
    throw unreadable(path, codeOf(error));
  }
  throw unreadable(path, 'it is a folder');
}

function unreadable(path: string, why: string): UsageFault {
  return new UsageFault(`The file ${path} cannot be read (${why}): give a file of "pulse-agent export".`);
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
}
