import { constants } from 'node:os';
import { CREDENTIALS_FORMATS, type CredentialsFormat } from './credentials-format.ts';
import { UsageFault } from './define-command.ts';
import { parseDuration } from './time-options.ts';

/** The options of `claim` about the file of credentials, as they were given. */
export interface WriteOptions {
  readonly write?: string | undefined;
  readonly format?: string | undefined;
  readonly onChange?: string | undefined;
  readonly onChangeTimeout?: string | undefined;
  readonly signal?: string | undefined;
  readonly leave?: true | undefined;
}

/** Where and how credentials are written, and who is notified. */
export interface WriteSettings {
  readonly path: string;
  readonly format: CredentialsFormat;
  readonly onChange: string | undefined;
  readonly onChangeTimeoutMs: number;
  readonly signal: NodeJS.Signals | undefined;
  readonly leave: boolean;
}

const DEFAULT_TIMEOUT_MS = 60_000;
const LONGEST_TIMEOUT_MS = 3_600_000;

/**
 * Reads the options; undefined without `--write`.
 *
 * @throws UsageFault
 */
export function readWriteOptions(options: WriteOptions, hasProgram: boolean): WriteSettings | undefined {
  const { write, format = 'url', onChange, onChangeTimeout, signal, leave = false } = options;
  if (write === undefined) {
    const needing = [options.format, onChange, onChangeTimeout, signal, options.leave];
    if (needing.every((value) => value === undefined)) return undefined;
    throw new UsageFault('--format, --on-change, --on-change-timeout, --signal and --leave need --write <file>.');
  }
  if (write === '') throw new UsageFault('Give --write the name of a file.');
  const known = CREDENTIALS_FORMATS.find((each) => each === format);
  if (known === undefined) throw new UsageFault(`Give --format as one of ${CREDENTIALS_FORMATS.join(', ')}.`);
  if (onChange !== undefined && signal !== undefined) throw new UsageFault('Give --on-change or --signal, not both.');
  if (onChange?.trim() === '') throw new UsageFault('Give --on-change a command.');
  if (onChangeTimeout !== undefined && onChange === undefined) {
    throw new UsageFault('--on-change-timeout needs --on-change.');
  }
  if (signal !== undefined && !hasProgram) {
    throw new UsageFault('--signal needs a program after --; for any other program use --on-change.');
  }
  return {
    path: write,
    format: known,
    onChange,
    onChangeTimeoutMs: timeoutOf(onChangeTimeout),
    signal: signal === undefined ? undefined : signalOf(signal),
    leave,
  };
}

function timeoutOf(value: string | undefined): number {
  if (value === undefined) return DEFAULT_TIMEOUT_MS;
  const ms = parseDuration(value);
  if (ms !== undefined && ms > 0 && ms <= LONGEST_TIMEOUT_MS) return ms;
  throw new UsageFault('Give --on-change-timeout as a duration such as 30s, at most 1h.');
}

/** `HUP`, `hup` and `SIGHUP` are the same. */
function signalOf(value: string): NodeJS.Signals {
  const name = `SIG${value.toUpperCase().replace(/^SIG/, '')}`;
  if (name in constants.signals) return name as NodeJS.Signals;
  throw new UsageFault('Give --signal as the name of a signal, such as HUP.');
}
