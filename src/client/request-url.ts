/**
 * The AMQP URL for requests with the credentials of a connection string: requests have a vhost of their own, and a claimed
 * account may send them there. `amqps://user:password@pulse.example.com/pulse` becomes
 * `amqps://user:password@pulse.example.com/pulse-agent`.
 */
export function requestUrl(connectionString: string, requestVhost: string): string {
  const url = new URL(connectionString);
  url.pathname = `/${encodeURIComponent(requestVhost)}`;
  return url.href;
}

/** The vhost that an AMQP URL names; undefined when it has no path. */
export function vhostIn(amqpUrl: string): string | undefined {
  const { pathname } = new URL(amqpUrl);
  return pathname.length > 1 ? decode(pathname.slice(1)) : undefined;
}

/** Text in which a percent sign stands for itself is left as it is. */
function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
