import { readFileSync } from 'node:fs';

/** Linux counts CPU time for programs in hundredths of a second, whatever the kernel's own clock. */
const TICK_MS = 10;

/** The resident memory of a process, in MB. */
export interface Resident {
  readonly ownMb: number;
  /** Pages of LMDB's mapped file; the kernel reclaims them when it needs memory. */
  readonly storeMb: number;
}

/**
 * The CPU time that all threads of a process have used, in ms, from its `/proc/<pid>/stat`.
 *
 * @throws RangeError for any other text
 */
export function cpuMsOf(stat: string): number {
  // The name of the program, in brackets, may hold spaces and brackets; user and system time are the 14th and 15th field.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const ticks = Number(fields[11]) + Number(fields[12]);
  if (!Number.isSafeInteger(ticks)) throw new RangeError(`Not from /proc/<pid>/stat: ${stat}`);
  return ticks * TICK_MS;
}

/** The resident memory of a process from its `/proc/<pid>/smaps`. The store's mappings have `storeFolder` in their path. */
export function residentOf(smaps: string, storeFolder: string): Resident {
  let [own, store] = [0, 0];
  let isStore = false;
  for (const line of smaps.split('\n')) {
    // The first line of a mapping has its addresses and its file.
    if (/^[0-9a-f]+-[0-9a-f]+ /.test(line)) isStore = line.includes(storeFolder);
    const bytes = Number(/^Rss:\s+(\d+) kB/.exec(line)?.[1] ?? 0) * 1024;
    if (isStore) store += bytes;
    else own += bytes;
  }
  return { ownMb: own / 1e6, storeMb: store / 1e6 };
}

/** The CPU time that all threads of a running process have used, in ms; its resolution is 10 ms. */
export function readCpuMs(pid: number): number {
  return cpuMsOf(readFileSync(`/proc/${pid}/stat`, 'utf8'));
}

/** The resident memory of a running process. */
export function readResident(pid: number, storeFolder: string): Resident {
  return residentOf(readFileSync(`/proc/${pid}/smaps`, 'utf8'), storeFolder);
}
