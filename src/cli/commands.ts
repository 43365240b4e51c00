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
    load: async () => (await import('./commands/serve-command.ts')).serveCommand,
  },
  ping: {
    summary: 'ask an agent for a sign of life',
    load: async () => (await import('./commands/ping-command.ts')).pingCommand,
  },
  claim: {
    summary: 'claim a namespace, once or for as long as a program runs',
    load: async () => (await import('./commands/claim-command.ts')).claimCommand,
  },
  get: {
    summary: 'tell about one namespace',
    load: async () => (await import('./commands/get-command.ts')).getCommand,
  },
  list: {
    summary: 'list all namespaces',
    load: async () => (await import('./commands/list-command.ts')).listCommand,
  },
  release: {
    summary: 'end a namespace now, with all that it owns',
    load: async () => (await import('./commands/release-command.ts')).releaseCommand,
  },
  revoke: {
    summary: 'make all credentials of a namespace useless',
    load: async () => (await import('./commands/revoke-command.ts')).revokeCommand,
  },
  watch: {
    summary: 'show what agents do, live',
    load: async () => (await import('./commands/watch-command.ts')).watchCommand,
  },
  verify: {
    summary: 'prove that an installation works, step by step',
    load: async () => (await import('./commands/verify-command.ts')).verifyCommand,
  },
  plan: {
    summary: 'say what agents would do next, and why',
    load: async () => (await import('./commands/plan-command.ts')).planCommand,
  },
  audit: {
    summary: 'show who did what, when and why',
    load: async () => (await import('./commands/audit-command.ts')).auditCommand,
  },
  adopt: {
    summary: 'take over a broker that another store has marked',
    load: async () => (await import('./commands/adopt-command.ts')).adoptCommand,
  },
};
