import { Secret } from '../util/secret.ts';
import { Interrupted } from './define-command.ts';

/** Standard input: a pipe, a file, or a terminal, which can hide what is typed. */
export interface SecretInput extends AsyncIterable<Buffer | string> {
  readonly isTTY?: boolean;
  setRawMode?(isRaw: boolean): unknown;
}

const CTRL_C = '\u0003';
const CTRL_D = '\u0004';
const BACKSPACE = /[\b\u007f]/;

/**
 * Reads a secret from standard input, without one newline at its end. A terminal shows nothing of it, and it ends with a
 * new line there.
 *
 * @throws Interrupted when Ctrl-C is typed, which a terminal in this mode passes on; the signal's reason
 */
export async function readSecret(input: SecretInput, prompt: () => void, signal: AbortSignal): Promise<Secret> {
  if (input.isTTY !== true) return new Secret((await readAll(input, signal)).replace(/\r?\n$/, ''));
  prompt();
  input.setRawMode?.(true);
  try {
    return new Secret(await readTyped(input, signal));
  } finally {
    input.setRawMode?.(false);
  }
}

async function readAll(input: SecretInput, signal: AbortSignal): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of input) {
    signal.throwIfAborted();
    chunks.push(Buffer.from(chunk));
  }
  return Buffer.concat(chunks).toString('utf8');
}

async function readTyped(input: SecretInput, signal: AbortSignal): Promise<string> {
  let typed = '';
  for await (const chunk of input) {
    signal.throwIfAborted();
    for (const character of chunk.toString()) {
      if (character === CTRL_C) throw new Interrupted('SIGINT');
      if (character === '\r' || character === '\n' || character === CTRL_D) return typed;
      typed = BACKSPACE.test(character) ? typed.slice(0, -1) : typed + character;
    }
  }
  return typed;
}
