/** A URL that cannot be used. The message continues "The URL …", and shows no part of the URL: it may hold a password. */
export class InvalidUrl extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'InvalidUrl';
  }
}

/** A user and a password, decoded. */
export interface Login {
  readonly username: string;
  readonly password: string;
}

/** The parts of an AMQP URL, decoded. */
export interface AmqpUrl {
  readonly protocol: 'amqp' | 'amqps';
  /** Without the brackets of an IPv6 address. */
  readonly hostname: string;
  /** Undefined: the default of the protocol. */
  readonly port: number | undefined;
  /** Undefined: the URL names none. */
  readonly login: Login | undefined;
  /** Undefined: the URL has no path. */
  readonly vhost: string | undefined;
  /** From the question mark on, as it was given; empty without one. */
  readonly search: string;
}

/** The parts of an HTTP URL. */
export interface HttpUrl {
  readonly protocol: 'http' | 'https';
  readonly hostname: string;
  /** Without user, password, and slashes at the end. */
  readonly url: string;
  readonly login: Login | undefined;
}

/** What amqplib's `connect` takes in place of a URL: it would decode user and password as Latin-1. */
export interface AmqpTarget {
  readonly protocol: 'amqp' | 'amqps';
  readonly hostname: string;
  readonly port: number;
  readonly username: string;
  readonly password: string;
  /** Percent-encoded: amqplib decodes it. */
  readonly vhost: string;
  readonly heartbeat?: number;
  readonly channelMax?: number;
  readonly frameMax?: number;
  readonly maxFrameSize?: number;
  readonly locale?: string;
}

/** What RabbitMQ's client libraries log in as when a URL names no user; it works on the broker's machine only. */
const DEFAULT_LOGIN: Login = { username: 'guest', password: 'guest' };

const DEFAULT_PORTS = { amqp: 5672, amqps: 5671 } as const;

/** The parameters that amqplib reads as numbers. */
const NUMBERS = ['heartbeat', 'channelMax', 'frameMax', 'maxFrameSize'] as const;

/** The longest name of a vhost, in bytes: AMQP has it as a short string. */
const VHOST_MAX_BYTES = 255;

/**
 * Reads an AMQP URL, and checks it whole: what it returns can be connected to as it is.
 *
 * @throws InvalidUrl
 * @example
 * parseAmqpUrl('amqps://me:p%C3%A4ss@pulse.example.com/a%2Fb').vhost; // 'a/b'
 */
export function parseAmqpUrl(text: string): AmqpUrl {
  const url = parseUrl(text, ['amqp:', 'amqps:']);
  const parameters = new URLSearchParams(url.search);
  for (const name of NUMBERS) {
    const value = parameters.get(name);
    if (value !== null && !/^\d{1,10}$/.test(value)) throw new InvalidUrl(`must have a whole number as ${name}`);
  }
  return {
    protocol: url.protocol === 'amqps:' ? 'amqps' : 'amqp',
    hostname: hostnameOf(url),
    port: url.port === '' ? undefined : Number(url.port),
    login: loginOf(url),
    vhost: vhostOf(url),
    search: url.search,
  };
}

/** URLs that lead to the same RabbitMQ, at least one: to each node of a cluster, for example. */
export type UrlList<Url> = readonly [Url, ...Url[]];

/**
 * Reads AMQP URLs with commas between them, which differ in host and port only. One URL is a list of one.
 *
 * @throws InvalidUrl
 * @example
 * parseAmqpUrls('amqps://me:pw@a.example.com/pulse,amqps://me:pw@b.example.com/pulse').length; // 2
 */
export function parseAmqpUrls(text: string): UrlList<AmqpUrl> {
  const urls = parseList(text, parseAmqpUrl);
  assertSame(urls, 'the same vhost', ({ vhost }) => vhost);
  assertSame(urls, 'the same parameters behind a ?', ({ search }) => search);
  assertOnce(urls, ({ protocol, hostname, port }) => `${hostname}:${port ?? DEFAULT_PORTS[protocol]}`);
  return urls;
}

/** The text that {@link parseAmqpUrls} reads. */
export function formatAmqpUrls(urls: readonly AmqpUrl[]): string {
  return urls.map(formatAmqpUrl).join(',');
}

/**
 * The AMQP URLs of a text with other parts, such as another vhost: each of them is changed.
 *
 * @throws InvalidUrl
 * @example
 * changeAmqpUrls('amqps://me:pw@a.example.com/pulse', { vhost: 'pulse-agent' }); // 'amqps://me:pw@a.example.com/pulse-agent'
 */
export function changeAmqpUrls(text: string, parts: Partial<Pick<AmqpUrl, 'login' | 'vhost' | 'search'>>): string {
  return formatAmqpUrls(parseAmqpUrls(text).map((url) => ({ ...url, ...parts })));
}

/** The hosts of a list, with the ports that it names, for people. */
export function formatAmqpHosts(urls: readonly AmqpUrl[]): string {
  return urls.map(formatAmqpHost).join(', ');
}

/** The AMQP URL with these parts. */
export function formatAmqpUrl({ protocol, hostname, port, login, vhost, search }: AmqpUrl): string {
  const user =
    login === undefined ? '' : `${encodeURIComponent(login.username)}:${encodeURIComponent(login.password)}@`;
  const path = vhost === undefined ? '' : `/${encodeURIComponent(vhost)}`;
  return `${protocol}://${user}${formatAmqpHost({ hostname, port })}${path}${search}`;
}

/** The host, with the port if the URL names one. */
export function formatAmqpHost({ hostname, port }: Pick<AmqpUrl, 'hostname' | 'port'>): string {
  const host = hostname.includes(':') ? `[${hostname}]` : hostname;
  return port === undefined ? host : `${host}:${port}`;
}

/** The user and the password that a connection to the URL logs in with. */
export function amqpLogin({ login }: AmqpUrl): Login {
  return login ?? DEFAULT_LOGIN;
}

/** What to pass to amqplib's `connect`. The vhost of a URL without a path is `/`. */
export function amqpTarget(url: AmqpUrl): AmqpTarget {
  const parameters = new URLSearchParams(url.search);
  const numbers = NUMBERS.flatMap((name) => {
    const value = parameters.get(name);
    return value === null ? [] : [[name, Number(value)] as const];
  });
  const locale = parameters.get('locale');
  return {
    protocol: url.protocol,
    hostname: url.hostname,
    port: url.port ?? DEFAULT_PORTS[url.protocol],
    ...amqpLogin(url),
    vhost: encodeURIComponent(url.vhost ?? '/'),
    ...(locale === null ? {} : { locale }),
    ...Object.fromEntries(numbers),
  };
}

/**
 * Reads an HTTP URL, and checks it whole. It may have a user, a password and a path, but neither query nor fragment.
 *
 * @throws InvalidUrl
 */
export function parseHttpUrl(text: string): HttpUrl {
  const url = parseUrl(text, ['http:', 'https:']);
  if (url.search !== '') throw new InvalidUrl('must have nothing behind a ?');
  decodePart(url.pathname, 'path');
  const login = loginOf(url);
  // RabbitMQ takes the first colon as the end of the name.
  if (login?.username.includes(':')) throw new InvalidUrl('must name a user without a colon: HTTP cannot send it');
  return {
    protocol: url.protocol === 'https:' ? 'https' : 'http',
    hostname: hostnameOf(url),
    url: `${url.protocol}//${url.host}${url.pathname.replace(/\/+$/, '')}`,
    login,
  };
}

/**
 * Reads HTTP URLs with commas between them, which differ in host, port and path only. One URL is a list of one.
 *
 * @throws InvalidUrl
 */
export function parseHttpUrls(text: string): UrlList<HttpUrl> {
  const urls = parseList(text, parseHttpUrl);
  assertOnce(urls, ({ url }) => url);
  return urls;
}

/** The text that {@link parseHttpUrls} reads. */
export function formatHttpUrls(urls: readonly Pick<HttpUrl, 'url' | 'login'>[]): string {
  return urls.map(formatHttpUrl).join(',');
}

/** The HTTP URL with its user and password. */
export function formatHttpUrl({ url, login }: Pick<HttpUrl, 'url' | 'login'>): string {
  const formatted = new URL(url);
  if (login !== undefined) {
    formatted.username = encodeURIComponent(login.username);
    formatted.password = encodeURIComponent(login.password);
  }
  return formatted.href;
}

/**
 * Asserts that a URL has no control characters: `URL` drops line breaks, also from the middle of a password.
 *
 * @throws InvalidUrl
 */
export function assertPrintable(text: string): void {
  // oxlint-disable-next-line no-control-regex
  if (/[\u0000-\u001f\u007f]|^ | $/.test(text)) {
    throw new InvalidUrl('must have no line breaks or other control characters, and no space at either end');
  }
}

/** A comma in front of a scheme separates two URLs. Any other belongs to a user, a password or a vhost. */
const BETWEEN_URLS = / *, *(?=[a-z][a-z\d+.-]*:\/\/)/i;

function parseList<Url extends Pick<AmqpUrl | HttpUrl, 'protocol' | 'login'>>(
  text: string,
  parse: (text: string) => Url,
): UrlList<Url> {
  const [first = '', ...others] = text.split(BETWEEN_URLS);
  if ([first, ...others].some((url) => /[; ][a-z][a-z\d+.-]*:\/\//i.test(url))) {
    throw new InvalidUrl('must have a comma between two URLs');
  }
  if ([first, ...others].some((url) => url.trimEnd().endsWith(',') || (url === '' && others.length > 0))) {
    throw new InvalidUrl('must have a URL before and behind each comma: write %2C for one that belongs to a vhost');
  }
  const urls: UrlList<Url> = [parse(first), ...others.map(parse)];
  assertSame(urls, 'the same scheme', ({ protocol }) => protocol);
  assertSame(urls, 'the same user and password', ({ login }) => JSON.stringify(login));
  return urls;
}

function assertSame<Url>([first, ...others]: UrlList<Url>, what: string, partOf: (url: Url) => unknown): void {
  if (others.every((url) => partOf(url) === partOf(first))) return;
  throw new InvalidUrl(`must have ${what} in each of its URLs: they lead to one RabbitMQ`);
}

function assertOnce<Url>(urls: UrlList<Url>, hostOf: (url: Url) => string): void {
  if (new Set(urls.map(hostOf)).size < urls.length) throw new InvalidUrl('must name each host and port once');
}

function parseUrl(text: string, protocols: readonly string[]): URL {
  const kinds = protocols.map((protocol) => `${protocol}//`).join(' or ');
  assertPrintable(text);
  if (!protocols.some((protocol) => text.toLowerCase().startsWith(`${protocol}//`))) {
    throw new InvalidUrl(`must be a URL with a host that begins with ${kinds}`);
  }
  if (text.includes('#'))
    throw new InvalidUrl('must have no #: write %23 for one that belongs to a user or a password');
  if (/^[^/]*\/\/(?:[^/?]*@)?[^/?@]*,[^/?@]*(?:[/?]|$)/.test(text)) {
    throw new InvalidUrl(
      'must name each host in a whole URL: write a comma and a second URL with user, password and path',
    );
  }
  if (!URL.canParse(text)) throw unusable(kinds);
  const url = new URL(text);
  if (hostnameOf(url) === '') throw unusable(kinds);
  if (`${url.pathname}${url.search}`.includes('@')) {
    throw new InvalidUrl('must have no @ behind the host: write %2F for a / and %3F for a ? in a user or a password');
  }
  return url;
}

function unusable(kinds: string): InvalidUrl {
  return new InvalidUrl(
    `must be a URL with a host that begins with ${kinds}: check its host and port, and percent-encode special characters of a user and a password`,
  );
}

/** As in an HTTP URL, where international names and short IPv4 addresses are resolved; empty if that is not possible. */
function hostnameOf({ hostname }: URL): string {
  if (hostname === '' || !URL.canParse(`http://${hostname}`)) return '';
  return new URL(`http://${hostname}`).hostname.replace(/^\[|\]$/g, '');
}

function loginOf(url: URL): Login | undefined {
  if (url.username === '' && url.password === '') return undefined;
  const username = decodePart(url.username, 'user');
  const password = decodePart(url.password, 'password');
  if (username === '') throw new InvalidUrl('must name the user of its password');
  if (password === '') throw new InvalidUrl('must have the password of its user');
  // SASL ends both with this character.
  if (`${username}${password}`.includes('\0')) throw new InvalidUrl('must have no %00 in its user or password');
  return { username, password };
}

function vhostOf({ pathname }: URL): string | undefined {
  if (pathname === '' || pathname === '/') return undefined;
  // A common way to write the vhost "/".
  if (pathname === '//') return '/';
  const path = pathname.slice(1);
  if (path.includes('/')) throw new InvalidUrl('must have no further / in its path, the vhost: write %2F for it');
  const vhost = decodePart(path, 'vhost');
  if (vhost.includes('\0')) throw new InvalidUrl('must have no %00 in its vhost');
  if (new TextEncoder().encode(vhost).length > VHOST_MAX_BYTES) {
    throw new InvalidUrl(`must name a vhost of at most ${VHOST_MAX_BYTES} bytes`);
  }
  return vhost;
}

function decodePart(text: string, part: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new InvalidUrl(`must have no % in its ${part} that begins no escape of UTF-8: write %25 for a percent sign`);
  }
}
