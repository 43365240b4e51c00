import { readFileSync } from 'node:fs';

/**
 * The behaviour that a client library has in every language: `behaviour.json` lists situations, which are played against a
 * real agent. Each language has a driver, a small program that uses the library; see {@link Command}.
 *
 * A new language: write the driver, and a test that calls `behavesAsClient` with how to start it.
 *
 * In the file, texts with `$` are replaced before a step is played:
 *
 * - `$namespace`, `$namespace2`, …: a namespace of this situation, which the client `team` may claim;
 * - `$name.field`: what a step saved as `name`, or a part of it;
 * - `$now+10s`, `$now+2h`: this much later than now, as an instant.
 */
export interface Behaviour {
  readonly about: string;
  /** What each library decides in the same way: played by the commands `decide-renewal` and so on. */
  readonly decisions: readonly Decision[];
  readonly situations: readonly Situation[];
}

/** An input of a pure decision, and what has to be decided: see {@link mismatch}. */
export interface Decision {
  readonly title: string;
  readonly do: 'decide-renewal' | 'decide-after-failure' | 'decide-retry';
  readonly with: JsonObject;
  readonly gives: JsonObject;
}

/** What happens, and what must be seen. Situations run at the same time. */
export interface Situation {
  readonly title: string;
  /**
   * Situations share an agent whose credentials stay for the time of a situation; with `rotating`, another one, whose
   * leases last a few seconds. With `own` the same, but an agent of this situation alone, which the steps may stop, and
   * whose connection strings lead through the network of the situation.
   */
  readonly installation?: 'rotating' | 'own';
  /** `own`: a driver process of its own. */
  readonly driver?: 'own';
  /** The clients of the situation, opened before the first step. */
  readonly clients: Readonly<Record<string, ClientSettings>>;
  readonly steps: readonly Step[];
}

/** How a client differs from one that may claim the namespaces of the situation. */
export interface ClientSettings {
  /**
   * The Taskcluster client: `team`, which may claim (when absent); `newcomer`, without scopes; `revoker`, which may revoke;
   * `own`: one that may claim, of this client alone; `none`: no credentials.
   */
  readonly as?: 'team' | 'newcomer' | 'revoker' | 'own' | 'none';
  /** `own`: it connects with a RabbitMQ user that may send requests, of this client alone. */
  readonly claimant?: 'own';
  /** Parts of the URL that are replaced. */
  readonly url?: Readonly<Partial<Record<'username' | 'password' | 'pathname', string>>>;
  /** Puts an address before the URL at which nothing listens. */
  readonly firstAddress?: 'down';
  /** Connects with TLS to a server whose CA the client is given, or is not. */
  readonly tls?: 'trusted' | 'untrusted';
  /** Replaces the options of {@link Command} `open`. */
  readonly options?: JsonObject;
}

/** One step: exactly one of the fields that are not marked as belonging to another one. */
export interface Step {
  /** A command for the driver. Waits for its end. */
  readonly do?: string;
  /** With `do`: the client, or the lease, by its name in this situation. */
  readonly client?: string;
  readonly lease?: string;
  /** With `do`: the other fields of the command. */
  readonly with?: JsonObject;
  /** With `do`: does not wait; a later step with `finish` does. */
  readonly begin?: string;
  /** Waits for the end of a command that was begun. */
  readonly finish?: string;
  /** With `do`, `finish` and `event`: the result, or the data of the event. See {@link mismatch}. */
  readonly gives?: unknown;
  /** With `do` and `finish`: the command fails, and this is its error. */
  readonly fails?: unknown;
  /** With `do`, `finish` and `event`: the name for the result, the error or the data. */
  readonly save?: string;

  /** Waits for the next event of `lease` of this type. Skips others, except `lost`, which fails the step. */
  readonly event?: 'renewed' | 'failing' | 'lost';
  /** With `event`: skips those that do not match this. */
  readonly where?: JsonObject;

  /** Waits until the agent has stopped, or serves requests. */
  readonly agent?: 'stop' | 'start';
  /** `cut`: no connection to RabbitMQ is left or opens; `stall`: RabbitMQ does not answer; `restore`: as before. */
  readonly network?: 'cut' | 'stall' | 'restore';
  /** RabbitMQ closes all connections of the claimant. */
  readonly broker?: 'close-connections';
  /** Deletes the RabbitMQ users of this namespace. */
  readonly deleteAccounts?: string;
  /** Deletes the RabbitMQ user of this client, whose `claimant` is `own`, and closes its connections. */
  readonly deleteClaimant?: string;
  /** The scopes of `client`, which is `own`, from now on. */
  readonly scopes?: readonly string[];

  /** Opens a connection with this connection string. */
  readonly connect?: string;
  /** With `connect`: declares this queue. */
  readonly queue?: string;
  /** With `connect`: whether RabbitMQ accepts it. */
  readonly opens?: boolean;
  /** Waits for `count` requests of this method for `$namespace`, which are not equal in `differ`. More of them are a failure. */
  readonly requests?: string;
  /** With `requests`: another namespace. */
  readonly of?: string;
  readonly count?: number;
  /** Instead of `count`: there may be more. */
  readonly atLeast?: number;
  readonly differ?: readonly ('nonce' | 'correlationId' | 'replyKey')[];
  /** Waits for the second claim of this lease. */
  readonly renewalOf?: string;
  /** With `renewalOf`: fails if it came before this share of the time until `reclaimAt`. */
  readonly notBefore?: number;
  /** Waits until the clients of the situation have this many connections. */
  readonly connections?: number;
  /** Saves these values by their names. */
  readonly let?: JsonObject;
  /** Fails unless this instant has come. */
  readonly passed?: string;
  /** Ends the input of the driver, and waits for its exit with this code and without any output on standard error. */
  readonly exit?: number;
}

export type JsonObject = Readonly<Record<string, unknown>>;

/** Reads `behaviour.json`. */
export function readBehaviour(): Behaviour {
  return JSON.parse(readFileSync(new URL('./behaviour.json', import.meta.url), 'utf8')) as Behaviour;
}
