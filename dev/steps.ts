/** Tells a person what is being done, and that it is still being done. */
export interface Steps {
  /** Runs one step: its title first, `ok` or what went wrong after it, and a sign of life every second in between. */
  run<T>(title: string, work: (tell: (line: string) => void) => Promise<T>): Promise<T>;
  /** How many steps are done. */
  readonly done: number;
}

const SIGN_OF_LIFE_MS = 1000;

/** Steps that are told of on `write`, a line at a time. */
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
      const timer = setInterval(() => write(`    … ${seconds()} s`), SIGN_OF_LIFE_MS);
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
