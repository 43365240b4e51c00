import { SECRET_MIN_LENGTH } from '../../config/environment.ts';
import { idOfSecret } from '../../namespaces/accounts/keyring.ts';
import { type DefineCommand, examples, UsageFault } from '../define-command.ts';
import { readSecret } from '../read-secret.ts';

/** Prints the id of an agent secret. One word, so that a secret given by mistake is no unknown command, which is printed. */
export const secretIdCommand: DefineCommand = (command, { output, signal }) => {
  command
    .description(
      `Prints the id of an agent secret, which is read from standard input; a terminal does not show it. Log lines, verify and refused claims name the secrets that they miss by these ids.

It needs no configuration and connects to nothing. The id does not reveal the secret.`,
    )
    .addHelpText(
      'after',
      examples([
        ['whether a file has the secret that is missing', 'pulse-agent secret-id < old-secret'],
        [
          'of the secret in this environment',
          `printf %s "$PULSE_AGENT_SECRET" | pulse-agent secret-id --json | jq -r .secretId`,
        ],
      ]),
    )
    .action(async () => {
      const ask = (): void => output.note('Type or paste the secret, and Enter; it is not shown:');
      const secret = await readSecret(process.stdin, ask, signal);
      if (secret.reveal().length < SECRET_MIN_LENGTH) {
        throw new UsageFault(
          `Give an agent secret, of at least ${SECRET_MIN_LENGTH} characters, on standard input. What came was shorter.`,
        );
      }
      const secretId = idOfSecret(secret);
      output.print({ secretId }, () => secretId);
    });
};
