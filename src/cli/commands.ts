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
  ping: {
    summary: 'ask an agent for a sign of life',
    load: async () => (await import('./commands/ping.ts')).ping,
  },
  claim: {
    summary: 'claim a namespace, once or for as long as a program runs',
    load: async () => (await import('./commands/claim.ts')).claim,
  },
  get: {
    summary: 'tell about one namespace',
    load: async () => (await import('./commands/get.ts')).get,
  },
  list: {
    summary: 'list all namespaces',
    load: async () => (await import('./commands/list.ts')).list,
  },
  release: {
    summary: 'end a namespace now, with all that it owns',
    load: async () => (await import('./commands/release.ts')).release,
  },
  revoke: {
    summary: 'make all credentials of a namespace useless',
    load: async () => (await import('./commands/revoke.ts')).revoke,
  },
  watch: {
    summary: 'show what agents do, live',
    load: async () => (await import('./commands/watch.ts')).watch,
  },
  verify: {
    summary: 'prove that an installation works, step by step',
    load: async () => (await import('./commands/verify.ts')).verify,
  },
  plan: {
    summary: 'say what agents would do next, and why',
    load: async () => (await import('./commands/plan.ts')).plan,
  },
  audit: {
    summary: 'show who did what, when and why',
    load: async () => (await import('./commands/audit.ts')).audit,
  },
  adopt: {
    summary: 'take over a broker that another store has marked',
    load: async () => (await import('./commands/adopt.ts')).adopt,
  },
};
