import { type Config, loadConfig } from '../../config/config.ts';
import { formatAmqpHost, type HttpUrl, InvalidUrl, parseHttpUrl } from '../../contract/url.ts';
import { isLoopback } from '../../observe/addresses.ts';
import { AgentError } from '../../util/agent-errors.ts';
import { type DefineCommand, examples, UsageFault } from '../define-command.ts';

/** Prints the link of the page for operators. */
export const pageCommand: DefineCommand = (command, { env, output }) => {
  command
    .option('--url <url>', 'where browsers reach the page, such as the address of a reverse proxy')
    .description(
      `Prints the link of the page for operators, with its token, from the configuration of the agent. The token is behind a #: browsers send it to no server as a part of the address, and the page removes it from there. Anyone with the link can read the page.`,
    )
    .addHelpText(
      'after',
      examples([
        ['on the machine of the agent', 'pulse-agent page'],
        ['through a reverse proxy', 'pulse-agent page --url https://pulse.example.com/agent/'],
        ['open it', 'xdg-open "$(pulse-agent page --json | jq -r .url)"'],
      ]),
    )
    .action(({ url: given }) => {
      const config = loadConfig(env);
      const { operatorToken } = config;
      if (operatorToken === undefined) {
        throw fault('The page for operators is off: set PULSE_AGENT_OPERATOR_TOKEN, from openssl rand -base64 33.');
      }
      const address = given === undefined ? ownAddress(config) : readAddress(given);
      const url = `${address.url}/#token=${encodeURIComponent(operatorToken.reveal())}`;
      const warnings = warningsAbout(address, config);
      output.print({ url, warnings }, () => url);
      for (const warning of warnings) output.note(warning);
    });
};

function fault(message: string): AgentError {
  return new AgentError('ConfigurationFault', message);
}

const WILDCARDS = ['0.0.0.0', '::'];

function ownAddress({ httpHost, httpPort }: Config): HttpUrl {
  if (httpPort === null) throw fault('The page for operators is not served: set HTTP_PORT.');
  if (httpPort === 0) {
    throw fault('HTTP_PORT is 0: give --url with the port that the log line http_server_started of the agent has.');
  }
  const hostname = WILDCARDS.includes(httpHost) ? 'localhost' : httpHost;
  return parseHttpUrl(`http://${formatAmqpHost({ hostname, port: httpPort })}`);
}

function readAddress(text: string): HttpUrl {
  try {
    const url = parseHttpUrl(text);
    if (url.login === undefined) return url;
  } catch (error) {
    if (!(error instanceof InvalidUrl)) throw error;
    throw new UsageFault(`--url ${error.message}.`, { cause: error });
  }
  throw new UsageFault('--url must have no user and no password.');
}

function warningsAbout({ protocol, hostname: host }: HttpUrl, config: Config): string[] {
  const { httpHost, operatorHosts } = config;
  const isOwn = isLoopback(host) || host === httpHost.toLowerCase();
  return [
    ...(protocol === 'http' && !isLoopback(host)
      ? ['Without https the token crosses the network in the clear. Put a reverse proxy with TLS in front.']
      : []),
    ...(!isLoopback(httpHost)
      ? [
          `The agent serves the page at ${httpHost}, without TLS: let the reverse proxy alone reach that port, or use HTTP_HOST=127.0.0.1 and a tunnel.`,
        ]
      : []),
    ...(isOwn || operatorHosts.includes(host)
      ? []
      : [
          `If the reverse proxy passes the host ${host} on, the agent refuses it: add it to PULSE_AGENT_OPERATOR_HOSTS (operatorHosts).`,
        ]),
  ];
}
