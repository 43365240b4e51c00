import type { CommandEntry } from './define-command.ts';

/** Every command, in the order of the help. */
export const COMMANDS: Readonly<Record<string, CommandEntry>> = {
  serve: {
    summary: 'run an agent',
    load: async () => (await import('./commands/serve-command.ts')).serveCommand,
  },
  ping: {
    summary: 'check that an agent is alive',
    load: async () => (await import('./commands/ping-command.ts')).pingCommand,
  },
  claim: {
    summary: 'claim a namespace, once or for as long as a program runs',
    load: async () => (await import('./commands/claim-command.ts')).claimCommand,
  },
  proxy: {
    summary: 'hold a namespace for programs that cannot claim: an AMQP proxy on this machine',
    load: async () => (await import('./commands/proxy-command.ts')).proxyCommand,
  },
  get: {
    summary: 'show a namespace',
    load: async () => (await import('./commands/get-command.ts')).getCommand,
  },
  list: {
    summary: 'list all namespaces',
    load: async () => (await import('./commands/list-command.ts')).listCommand,
  },
  release: {
    summary: 'delete a namespace and everything in it',
    load: async () => (await import('./commands/release-command.ts')).releaseCommand,
  },
  revoke: {
    summary: 'revoke all credentials of a namespace',
    load: async () => (await import('./commands/revoke-command.ts')).revokeCommand,
  },
  watch: {
    summary: 'print agent events as they happen',
    load: async () => (await import('./commands/watch-command.ts')).watchCommand,
  },
  verify: {
    summary: 'check an installation step by step',
    load: async () => (await import('./commands/verify-command.ts')).verifyCommand,
  },
  status: {
    summary: 'show how the installation is, what does not work since when; or how a namespace is',
    load: async () => (await import('./commands/status-command.ts')).statusCommand,
  },
  queues: {
    summary: 'show which queues are deep, grow, and reach a threshold next',
    load: async () => (await import('./commands/queues-command.ts')).queuesCommand,
  },
  plan: {
    summary: 'show what the agents will do next, and why',
    load: async () => (await import('./commands/plan-command.ts')).planCommand,
  },
  audit: {
    summary: 'show who did what, when and why',
    load: async () => (await import('./commands/audit-command.ts')).auditCommand,
  },
  page: {
    summary: 'print the link of the page for operators',
    load: async () => (await import('./commands/page-command.ts')).pageCommand,
  },
  config: {
    summary: 'check or show the configuration of an agent',
    load: async () => (await import('./commands/config-command.ts')).configCommand,
  },
  export: {
    summary: 'write all that the store has to a file, for another store',
    load: async () => (await import('./commands/export-command.ts')).exportCommand,
  },
  import: {
    summary: 'put an export into an empty store',
    load: async () => (await import('./commands/import-command.ts')).importCommand,
  },
  'secret-id': {
    summary: 'print the id of an agent secret from standard input',
    load: async () => (await import('./commands/secret-id-command.ts')).secretIdCommand,
  },
  completion: {
    summary: 'print a script that completes commands and options in a shell',
    load: async () => (await import('./commands/completion-command.ts')).completionCommand,
  },
  exempt: {
    summary: 'keep agents from deleting a queue for a while',
    load: async () => (await import('./commands/exempt-command.ts')).exemptCommand,
  },
  uninstall: {
    summary: 'show and remove what the agents made on the broker',
    load: async () => (await import('./commands/uninstall-command.ts')).uninstallCommand,
  },
  adopt: {
    summary: 'take over a broker that is marked for another store, or names that exist',
    load: async () => (await import('./commands/adopt-command.ts')).adoptCommand,
  },
};
