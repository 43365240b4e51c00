import { randomBytes } from 'node:crypto';
import { type BigIntStats, constants, lstatSync, rmSync } from 'node:fs';
import { access, lstat, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { WireError } from '../contract/wire-errors.ts';
import { UsageFault } from './define-command.ts';

const PRIVATE_MODE = 0o600;
const WRITABLE_FOR_ALL = 0o002;
const STICKY = 0o1000;

/** The names of the temporary files, of which a killed process leaves one. */
const TEMPORARY_NAME = /^\.pulse-agent-credentials-[0-9a-f]{12}\.tmp$/;

/** From this age on nothing writes to a temporary file any more, in ms. */
const LEFT_AFTER_MS = 60_000;

/** Failures that last until the place of the file is changed. */
const WRONG_PLACE = ['EACCES', 'EPERM', 'EROFS', 'ENOENT', 'ENOTDIR', 'EISDIR', 'ENAMETOOLONG', 'ELOOP'];

/** What is the same for one file under any name. */
type FileIdentity = Pick<BigIntStats, 'dev' | 'ino' | 'mtimeNs'>;

/**
 * A file with credentials that only its owner can read. Its readers find one text or the next, never a part of one: a
 * temporary file in the same folder is written to the disk, and takes the name.
 */
export class CredentialsFile {
  readonly path: string;
  readonly #folder: string;
  /** The last file that {@link write} has made. */
  #written: FileIdentity | undefined;
  #temporary: string | undefined;

  constructor(path: string) {
    this.path = resolve(path);
    this.#folder = dirname(this.path);
  }

  /**
   * Checks the place before anything is claimed for it. A symbolic link would be replaced, with its target left behind as
   * it is, and the owner of a file could no longer read it.
   *
   * @throws UsageFault
   */
  async check(): Promise<void> {
    const folder = await stat(this.#folder).catch((error: unknown) => {
      throw this.fault(error);
    });
    if (!folder.isDirectory()) throw this.#refuse(`${this.#folder} is no folder`);
    if ((folder.mode & WRITABLE_FOR_ALL) !== 0 && (folder.mode & STICKY) === 0) {
      throw this.#refuse(`every user may replace files in ${this.#folder}`);
    }
    await access(this.#folder, constants.W_OK | constants.X_OK).catch((error: unknown) => {
      throw this.fault(error);
    });
    const found = await lstat(this.path).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw this.fault(error);
    });
    if (found === undefined) return;
    if (found.isSymbolicLink()) throw this.#refuse('it is a symbolic link');
    if (!found.isFile()) throw this.#refuse('it exists and is no file');
    if (found.uid !== process.geteuid?.()) throw this.#refuse('it belongs to another user');
  }

  /** Replaces the file. Rejects with the system's error; the file is then as it was before. */
  async write(text: string): Promise<void> {
    await this.#removeLeftovers();
    const temporary = join(this.#folder, `.pulse-agent-credentials-${randomBytes(6).toString('hex')}.tmp`);
    const file = await open(temporary, 'wx', PRIVATE_MODE);
    this.#temporary = temporary;
    try {
      let written: FileIdentity;
      try {
        // The umask may have taken rights.
        await file.chmod(PRIVATE_MODE);
        await file.writeFile(text);
        await file.sync();
        written = await file.stat({ bigint: true });
      } finally {
        await file.close();
      }
      await rename(temporary, this.path);
      this.#written = written;
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => undefined);
      throw error;
    } finally {
      this.#temporary = undefined;
    }
    await this.#syncFolder();
  }

  /**
   * Removes what {@link write} has made, unless another process has replaced it. It is synchronous, for the end of the
   * process, and never throws.
   */
  remove(): void {
    const written = this.#written;
    this.#written = undefined;
    try {
      if (this.#temporary !== undefined) rmSync(this.#temporary, { force: true });
      if (written === undefined) return;
      const { dev, ino, mtimeNs } = lstatSync(this.path, { bigint: true });
      if (dev === written.dev && ino === written.ino && mtimeNs === written.mtimeNs) rmSync(this.path);
    } catch {
      // It is gone, or the folder may no longer be written.
    }
  }

  /** The error of the system as one that says what to do. */
  fault(error: unknown): UsageFault | WireError {
    const { code = 'unknown error' } = error as NodeJS.ErrnoException;
    if (WRONG_PLACE.includes(code)) return this.#refuse(code);
    return new WireError('Unavailable', `The file ${this.path} cannot be written (${code}).`);
  }

  #refuse(why: string): UsageFault {
    return new UsageFault(`The file ${this.path} cannot be written (${why}): choose another place.`);
  }

  /** Removes the temporary files of processes that were killed. */
  async #removeLeftovers(): Promise<void> {
    // A folder may be writable and not readable.
    const names = await readdir(this.#folder).catch(() => []);
    for (const name of names.filter((each) => TEMPORARY_NAME.test(each))) {
      const path = join(this.#folder, name);
      try {
        if (Date.now() - (await lstat(path)).mtimeMs > LEFT_AFTER_MS) await rm(path);
      } catch {
        // Another process has removed it, or it belongs to another user.
      }
    }
  }

  /** After a crash of the machine the file has the name then. Not every file system can do it, and none has to. */
  async #syncFolder(): Promise<void> {
    try {
      const folder = await open(this.#folder, 'r');
      try {
        await folder.sync();
      } finally {
        await folder.close();
      }
    } catch {
      // The file is written, and its readers find it.
    }
  }
}
