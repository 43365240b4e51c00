import { shellQuoted } from '../util/shell-quoted.ts';

/** A shell for which there is a script. */
export const SHELLS = ['bash', 'zsh', 'fish'] as const;

/** One of {@link SHELLS}. */
export type Shell = (typeof SHELLS)[number];

/** What can follow a word of the command line. */
export interface CompletedCommand {
  /** The words up to here, such as `config show`; empty for the program itself. */
  readonly path: string;
  readonly subcommands: readonly CompletedWord[];
  /** Values of its argument, if there are only some. */
  readonly choices: readonly string[];
  readonly options: readonly (CompletedWord & { readonly takesValue: boolean })[];
}

/** A word, and what it is for. */
export interface CompletedWord {
  readonly word: string;
  readonly summary: string;
}

/** The script that completes `pulse-agent` in a shell. */
export function completionScript(shell: Shell, commands: readonly CompletedCommand[]): string {
  return { bash: bashScript, zsh: zshScript, fish: fishScript }[shell](commands);
}

function bashScript(commands: readonly CompletedCommand[]): string {
  const cases = commands.map(({ path, subcommands, choices, options }) => {
    const words = [...subcommands.map(({ word }) => word), ...choices, ...options.map(({ word }) => word)];
    return `    ${shellQuoted(path)}) words=${shellQuoted(words.join(' '))} ;;`;
  });
  return `# Completion of pulse-agent for bash. In ~/.bashrc: source <(pulse-agent completion bash)
_pulse_agent() {
  local at='' words='' word
${casesOfPaths(commands, '${COMP_WORDS[@]:1:COMP_CWORD-1}', cases)}
  COMPREPLY=($(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _pulse_agent pulse-agent`;
}

function zshScript(commands: readonly CompletedCommand[]): string {
  const cases = commands.map(({ path, subcommands, choices, options }) => {
    const described = subcommands.map(({ word, summary }) => shellQuoted(`${word}:${summary.replaceAll(':', '\\:')}`));
    const plain = [...choices, ...options.map(({ word }) => word)];
    return `    ${shellQuoted(path)}) found=(${described.join(' ')}); others=(${plain.map(shellQuoted).join(' ')}) ;;`;
  });
  return `#compdef pulse-agent
# Completion of pulse-agent for zsh. In ~/.zshrc, after compinit: source <(pulse-agent completion zsh)
_pulse_agent() {
  local at='' word
  local -a found others
${casesOfPaths(commands, '${(@)words[2,CURRENT-1]}', cases)}
  (( \${#found} )) && _describe command found
  compadd -- $others
  _files
}
compdef _pulse_agent pulse-agent`;
}

function fishScript(commands: readonly CompletedCommand[]): string {
  const lines = commands.flatMap(({ path, subcommands, choices, options }) => {
    const followers = subcommands.map(({ word }) => word);
    const here = path === '' ? '__fish_use_subcommand' : seen(path, followers);
    const anywhereBelow = path === '' ? '' : ` -n ${shellQuoted(seen(path, []))}`;
    return [
      ...subcommands.map(({ word, summary }) => `-n ${shellQuoted(here)} -f -a ${word} -d ${shellQuoted(summary)}`),
      ...choices.map((choice) => `-n ${shellQuoted(here)} -f -a ${choice}`),
      ...options.map(
        ({ word, summary, takesValue }) =>
          `${anywhereBelow.trimStart()} -l ${word.replace(/^--/, '')}${takesValue ? ' -r' : ''} -d ${shellQuoted(summary)}`,
      ),
    ];
  });
  return [
    '# Completion of pulse-agent for fish: pulse-agent completion fish > ~/.config/fish/completions/pulse-agent.fish',
    ...lines.map((line) => `complete -c pulse-agent ${line.trimStart()}`),
  ].join('\n');
}

/** That the words of the path are there and none of the others. */
function seen(path: string, others: readonly string[]): string {
  const conditions = path.split(' ').map((word) => `__fish_seen_subcommand_from ${word}`);
  if (others.length > 0) conditions.push(`not __fish_seen_subcommand_from ${others.join(' ')}`);
  return conditions.join('; and ');
}

/** What bash and zsh share: the path that the words before the cursor make, and the case for it. */
function casesOfPaths(commands: readonly CompletedCommand[], wordsBefore: string, cases: readonly string[]): string {
  const paths = commands.filter(({ path }) => path !== '').map(({ path }) => shellQuoted(path));
  return `  for word in "${wordsBefore}"; do
    case "\${at:+$at }$word" in
      ${paths.join(' | ')}) at="\${at:+$at }$word" ;;
    esac
  done
  case "$at" in
${cases.join('\n')}
  esac`;
}
