import { type DefineCommand, examples } from '../define-command.ts';
import { proxyListeners } from '../proxy-listeners.ts';
import { runProxies } from '../run-proxies.ts';
import { addClientOptions, withClient } from '../with-client.ts';

/** Holds namespaces, and stands in front of RabbitMQ for programs that cannot claim. */
export const proxyCommand: DefineCommand = (command, context) => {
  addClientOptions(
    command
      .argument('[command...]', 'after --: a program that gets PULSE_CONNECTION_STRING and AMQP_URL')
      .requiredOption(
        '--namespace <name[@port]>',
        'the namespace, and the port if not that of --listen; may be given several times',
        (value: string, before: readonly string[] | undefined) => [...(before ?? []), value],
      )
      .option(
        '--contact <contact>',
        'a mail address, matrix:<room id> or slack:<channel id> for notices about overgrown queues; none: removes it',
      )
      .option('--listen <address:port>', 'where clients connect (default: 127.0.0.1:5673)')
      .option('--password-file <file>', 'the password that clients have to give; without it any is taken')
      .option('--vhost <name>', 'the vhost that connections open, in place of the one that clients name'),
  )
    .description(
      `Holds a namespace, and listens for clients of AMQP 0-9-1 on this machine. They connect with any user and password; the proxy logs them in with the credentials that the namespace has, through every rotation. Needs the scope pulse:namespace:<namespace>.

With a program after --, the program runs with PULSE_CONNECTION_STRING and AMQP_URL in its environment, which have the URL of the proxy (of the first namespace, if there are several); signals to this command are forwarded to it. The command exits when the program does, with its exit code.

Who can connect to the port can use the namespace. An address other than one of loopback needs --password-file.`,
    )
    .addHelpText(
      'after',
      examples([
        ['for everything on this machine', 'pulse-agent proxy --namespace taskcluster-builds'],
        ['for one program', 'pulse-agent proxy --namespace taskcluster-builds -- python3 worker.py'],
        ['for two namespaces', 'pulse-agent proxy --namespace taskcluster-a@5673 --namespace taskcluster-b@5674'],
      ]),
    )
    .action(async (program, { namespace, contact, listen, passwordFile, vhost, ...options }) => {
      const listeners = await proxyListeners(namespace, listen, passwordFile);
      await withClient(context, options, 'signed', async (client, _signer, ca) => {
        const request = contact === undefined ? {} : { contact: contact === 'none' ? null : contact };
        await runProxies(client, listeners, { request, vhost, ca, program }, context);
      });
    });
};
