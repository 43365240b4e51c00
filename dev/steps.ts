/** Prints the steps of the demo and their progress. */
export interface Steps {
  /** Runs one step: prints its title, the elapsed time every second, and `ok` or `failed` at the end. */
  run<T>(title: string, work: (print: (line: string) => void) => Promise<T>): Promise<T>;
  /** How many steps are done. */
  readonly done: number;
}

const PROGRESS_EVERY_MS = 1000;

/** Makes steps that print through `write`, one line a call. */
export function createSteps(write: (line: string) => void): Steps {
  let done = 0;
  return {
    get done() {
      return done;
    },
    async run(title, work) {
      write(`• ${title}`);
      const startedMs = performance.now();
      const seconds = (): string => ((performance.now() - startedMs) / 1000).toFixed(1);
      const timer = setInterval(() => write(`    … ${seconds()} s`), PROGRESS_EVERY_MS);
      try {
        const result = await work((line) => write(`    ${line}`));
        done += 1;
        write(`  ok (${seconds()} s)`);
        return result;
      } catch (error) {
        write(`  failed after ${seconds()} s`);
        throw error;
      } finally {
        clearInterval(timer);
      }
    },
  };
}
