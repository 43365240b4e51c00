import type { DefineCommand } from './command.ts';

/** A command's line in the list, and where the rest of it is. */
export interface CommandEntry {
  /** One line for the list of commands. */
  readonly summary: string;
  /** Loads its file, with all that it needs. Only the command that runs is loaded. */
  load(): Promise<DefineCommand>;
}

/** Every command, in the order of the list. */
export const COMMANDS: Readonly<Record<string, CommandEntry>> = {
  serve: {
    summary: 'run the agent',
    load: async () => (await import('./commands/serve.ts')).serve,
  },
  verify: {
    summary: 'prove that an installation works, step by step',
    load: async () => (await import('./commands/verify.ts')).verify,
  },
  adopt: {
    summary: 'take over a broker that another store has marked',
    load: async () => (await import('./commands/adopt.ts')).adopt,
  },
};
