import type { ChildProcess } from 'node:child_process';
import type { Lease } from '../client/lease.ts';
import { systemTime } from '../client/time.ts';
import { runChangeCommand } from './change-command.ts';
import type { CredentialsFile } from './credentials-file.ts';
import { formatCredentials } from './credentials-format.ts';
import { CredentialsPublisher, type Publication, type PublisherEvent } from './credentials-publisher.ts';
import type { CommandContext } from './define-command.ts';
import type { Output } from './output.ts';
import type { WriteSettings } from './write-options.ts';

/** The file that has the credentials of a lease, for as long as the lease is held. */
export interface PublishedLease {
  /** The variables for programs. */
  readonly variables: Readonly<Record<string, string>>;
  /**
   * Writes the file for the first time.
   *
   * @throws UsageFault where it cannot be; WireError `Unavailable` where it cannot be now
   */
  start(): Promise<void>;
  /** The program that gets the signals. */
  notifies(program: ChildProcess): void;
  /** Ends what runs and removes the file, unless it is to be left. */
  close(): Promise<void>;
}

/**
 * Keeps the credentials of a lease in a file, and notifies programs of changes.
 *
 * @param hasProgram whether the command runs a program: its outputs are those of the program then, and the program reads
 *   the first credentials when it starts
 */
export function publishLease(
  lease: Lease,
  file: CredentialsFile,
  settings: WriteSettings,
  { env, output }: Pick<CommandContext, 'env' | 'output'>,
  hasProgram: boolean,
): PublishedLease {
  const { format, onChange, onChangeTimeoutMs, signal: signalName, leave } = settings;
  const variables = { PULSE_CONNECTION_FILE: file.path };
  let program: ChildProcess | undefined;
  const runCommand = async (signal: AbortSignal): Promise<void> => {
    await runChangeCommand(onChange ?? '', { env: { ...env, ...variables }, timeoutMs: onChangeTimeoutMs, signal });
  };
  const sendSignal = async (): Promise<void> => void program?.kill(signalName);
  const publisher = new CredentialsPublisher({
    current(): Publication | undefined {
      try {
        const { namespace, connectionString, connectionStrings, reclaimAt, expires } = lease;
        const held = { namespace, connectionString, connectionStrings, reclaimAt, expires };
        return { text: formatCredentials(format, held), credentials: connectionStrings.join() };
      } catch {
        // The lease is lost: there is nothing to be published.
        return undefined;
      }
    },
    write: (text) => file.write(text),
    notify: onChange === undefined ? signalName && sendSignal : runCommand,
    notifiesFirst: !hasProgram,
    report: (event) => (hasProgram ? note : print)(event, { lease, file, output }),
    time: systemTime,
  });
  const remove = (): void => {
    if (!leave) file.remove();
  };
  const close = async (): Promise<void> => {
    await publisher.close();
    remove();
    process.removeListener('exit', remove);
  };
  return {
    variables,
    async start() {
      // For exits without waiting, such as at the second signal.
      process.once('exit', remove);
      lease.on('renewed', () => publisher.changed());
      lease.once('lost', () => void close());
      await publisher.start().catch((error: unknown) => {
        throw file.fault(error);
      });
    },
    notifies: (started) => void (program = started),
    close,
  };
}

interface ReportParts {
  readonly lease: Lease;
  readonly file: CredentialsFile;
  readonly output: Output;
}

/** Beside a program, only what goes wrong, on standard error. */
function note(event: PublisherEvent, { file, output }: ReportParts): void {
  if ('error' in event) output.note(`pulse-agent: ${faultOf(event, file).message} Retrying.`);
}

function print(event: PublisherEvent, { lease, file, output }: ReportParts): void {
  const about = { event: event.event, namespace: lease.namespace, file: file.path };
  const now = new Date().toISOString();
  if ('error' in event) {
    const { failures } = event;
    const retryAt = event.retryAt.toISOString();
    const error = faultOf(event, file);
    output.print(
      { ...about, error, failures, retryAt },
      ({ doubtful }) => `${now} ${doubtful('failing')} ${error.message} Next attempt at ${retryAt}.`,
    );
    return;
  }
  const text = event.event === 'written' ? `written ${file.path}` : 'ran the command';
  output.print(about, () => `${now} ${text}`);
}

function faultOf(
  { event, error }: Extract<PublisherEvent, { error: unknown }>,
  file: CredentialsFile,
): { code: string; message: string } {
  const { code = 'UnexpectedFault' } = error as NodeJS.ErrnoException;
  if (event === 'notify-failing') return { code, message: (error as Error).message };
  return { code, message: `The file ${file.path} cannot be written (${code}).` };
}
