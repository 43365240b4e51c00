import { closeSync, openSync, readdirSync, rmSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import type { RandomBytes } from '../../util/clock.ts';
import { AgentError } from '../../util/agent-errors.ts';

/** The path of a unix socket may have 107 bytes on Linux and 103 on macOS. */
const MAX_SOCKET_PATH_BYTES = 103;
const SOCKET_NAME = /^agent-(\d+)-[\w-]+\.sock$/;

/**
 * The ownership of a folder by one process. Each agent listens on a unix socket of its own in the folder, named after its
 * process; the store holds the name of its owner's socket.
 *
 * The kernel accepts connections for a process that is suspended or busy, and refuses them for one that has exited in any
 * way: a restart right after a SIGKILL succeeds, and a suspended owner is respected. A process id in a lock file, or LMDB's
 * table of readers, would confuse processes of two containers: in a container the id is mostly 1.
 */
export class LmdbOwner {
  readonly socketName: string;
  readonly #folder: string;
  readonly #server: Server;
  #folderFd: number | undefined;

  private constructor(folder: string, socketName: string) {
    this.#folder = folder;
    this.socketName = socketName;
    this.#server = createServer((socket) => socket.destroy());
    this.#server.unref();
  }

  /**
   * Checks that no other agent runs in the folder, then listens. Several that start concurrently may all get here:
   * {@link settle} decides among them.
   *
   * @throws AgentError `StoreInUse` when another agent holds the folder
   */
  static async announce(folder: string, randomBytes: RandomBytes): Promise<LmdbOwner> {
    const owner = new LmdbOwner(folder, `agent-${process.pid}-${randomBytes(6).toString('base64url')}.sock`);
    try {
      // Before the database is opened: that takes LMDB's write lock, which a suspended owner may hold for ever.
      for (const name of readdirSync(folder)) {
        if (SOCKET_NAME.test(name) && (await owner.#answers(name))) throw inUse(folder, name);
      }
      await new Promise<void>((resolve, reject) => {
        owner.#server.once('error', reject);
        owner.#server.listen(owner.#path(owner.socketName), resolve);
      });
      return owner;
    } catch (error) {
      await owner.leave();
      throw error;
    }
  }

  /**
   * Makes this agent the owner that the store names.
   *
   * @param read returns the socket name in the store
   * @param replace replaces `seen` with the name of this agent; false when the store has another name by now
   * @throws AgentError `StoreInUse` when another agent was first
   */
  async settle(read: () => string | undefined, replace: (seen: string | undefined) => boolean): Promise<void> {
    for (;;) {
      const seen = read();
      if (seen !== undefined && (await this.#answers(seen))) throw inUse(this.#folder, seen);
      if (!replace(seen)) continue;
      // No other socket is removed: the agent that lost this race may win the next one.
      if (seen !== undefined) rmSync(join(this.#folder, seen), { force: true });
      return;
    }
  }

  /** Closes the socket: the folder is free from now on. */
  async leave(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
    rmSync(join(this.#folder, this.socketName), { force: true });
    if (this.#folderFd !== undefined) closeSync(this.#folderFd);
    this.#folderFd = undefined;
  }

  async #answers(name: string): Promise<boolean> {
    return await new Promise<boolean>((resolve) => {
      const socket = connect(this.#path(name));
      socket.once('connect', () => {
        socket.destroy();
        resolve(true);
      });
      // Any other failure, such as a full queue of connections, still means that a process listens.
      socket.once('error', (error: NodeJS.ErrnoException) => {
        resolve(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT');
      });
    });
  }

  #path(name: string): string {
    const path = join(this.#folder, name);
    if (Buffer.byteLength(path) <= MAX_SOCKET_PATH_BYTES) return path;
    if (process.platform !== 'linux') {
      throw new AgentError('ConfigurationFault', `The path ${path} is too long for a socket: choose a shorter folder.`);
    }
    this.#folderFd ??= openSync(this.#folder, 'r');
    return `/proc/self/fd/${this.#folderFd}/${name}`;
  }
}

function inUse(folder: string, socketName: string): AgentError {
  const pid = Number(SOCKET_NAME.exec(socketName)?.[1]);
  const holder = pid === process.pid ? `this process (${pid})` : `process ${pid}`;
  return new AgentError(
    'StoreInUse',
    `The store in ${folder} is held by ${holder}: stop that agent, or give this one another folder, or MongoDB, which several agents may share.`,
  );
}
