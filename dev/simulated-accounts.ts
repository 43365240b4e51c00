/** A user as RabbitMQ's management API has it. */
export interface ApiUser {
  readonly name: string;
  readonly password_hash: string;
  readonly hashing_algorithm: string;
  readonly tags: readonly string[];
}

/** The answer to one request; `body` is sent as JSON. */
export interface Answer {
  readonly status: number;
  readonly body?: unknown;
}

/** Users, their permissions and limits, and queues, in memory, which answer like RabbitMQ's management API. */
export interface SimulatedAccounts {
  /** Answers a request about these things. @param path the decoded segments after `/api` */
  answer(method: string, path: readonly string[], body: unknown): Answer;
  /** The elements that a listing of this path has of them; undefined: it is no listing that they belong to. */
  list(path: readonly string[]): Iterable<object> | undefined;
  /** Sets the queues of a vhost, each with this many messages. */
  setQueues(vhost: string, names: Iterable<string>, messages?: number): void;
}

const NOT_FOUND: Answer = { status: 404, body: { error: 'Object Not Found', reason: 'Not Found' } };
const DELETED: Answer = { status: 204 };

interface Account {
  user: ApiUser;
  readonly permissions: Map<string, object>;
  readonly limits: Map<string, number>;
}

/** Makes an empty simulation. */
export function createSimulatedAccounts(): SimulatedAccounts {
  const accounts = new Map<string, Account>();
  const queues = new Map<string, Set<string>>();
  let messages = 0;

  const answerUser = (method: string, name: string, more: readonly string[], body: unknown): Answer => {
    const account = accounts.get(name);
    if (method === 'PUT') {
      const user = { ...(body as Omit<ApiUser, 'name'>), name };
      if (account !== undefined) {
        account.user = user;
        return { status: 204 };
      }
      accounts.set(name, { user, permissions: new Map(), limits: new Map() });
      return { status: 201 };
    }
    if (account === undefined) return NOT_FOUND;
    if (method === 'DELETE') {
      accounts.delete(name);
      return DELETED;
    }
    if (more[0] === 'permissions') return { status: 200, body: permissionsOf(account) };
    if (more[0] === 'topic-permissions') return { status: 200, body: [] };
    return { status: 200, body: shownUser(account) };
  };

  const answerPermissions = (method: string, vhost: string, name: string, body: unknown): Answer => {
    const account = accounts.get(name);
    if (account === undefined) {
      return method === 'PUT' ? { status: 400, body: { error: 'bad_request', reason: 'no_such_user' } } : NOT_FOUND;
    }
    const granted = account.permissions.get(vhost);
    if (method === 'PUT') {
      account.permissions.set(vhost, body as object);
      return { status: granted === undefined ? 201 : 204 };
    }
    if (granted === undefined) return NOT_FOUND;
    if (method === 'GET') return { status: 200, body: { user: name, vhost, ...granted } };
    account.permissions.delete(vhost);
    return DELETED;
  };

  const answerLimits = (method: string, name: string, limit: string | undefined, body: unknown): Answer => {
    const account = accounts.get(name);
    if (account === undefined) {
      return method === 'PUT' ? { status: 400, body: { error: 'bad_request', reason: 'no_such_user' } } : NOT_FOUND;
    }
    if (limit === undefined) return { status: 200, body: limitsOf(account) };
    if (method === 'PUT') account.limits.set(limit, (body as { readonly value: number }).value);
    else account.limits.delete(limit);
    return { status: 204 };
  };

  const answerQueue = (method: string, vhost: string, name: string): Answer => {
    const names = queues.get(vhost);
    if (names?.has(name) !== true) return NOT_FOUND;
    if (method === 'GET') return { status: 200, body: shownQueue(name, messages) };
    names.delete(name);
    return DELETED;
  };

  return {
    answer(method, [kind, first = '', second, ...more], body) {
      if (kind === 'users') return answerUser(method, first, [second ?? '', ...more], body);
      if (kind === 'permissions') return answerPermissions(method, first, second ?? '', body);
      if (kind === 'user-limits') return answerLimits(method, first, second, body);
      if (kind === 'queues') return answerQueue(method, first, second ?? '');
      // Simulated users open no connections.
      if (kind === 'connections') return method === 'GET' ? { status: 200, body: [] } : DELETED;
      return { status: 405, body: { error: 'method_not_allowed', reason: `${method} ${kind} is not simulated` } };
    },
    list(path) {
      const [kind, vhost, ...more] = path;
      if (kind === 'queues' && vhost !== undefined && more.length === 0) {
        return [...(queues.get(vhost) ?? [])].map((name) => shownQueue(name, messages));
      }
      if (vhost !== undefined) return undefined;
      if (kind === 'users') return [...accounts.values()].map(shownUser);
      if (kind === 'permissions') return [...accounts.values()].flatMap(permissionsOf);
      if (kind === 'user-limits') return [...accounts.values()].flatMap(limitsOf);
      return undefined;
    },
    setQueues(vhost, names, count = 0) {
      queues.set(vhost, new Set(names));
      messages = count;
    },
  };
}

function shownUser({ user }: Account): object {
  return { ...user, limits: {} };
}

function permissionsOf({ user, permissions }: Account): object[] {
  return [...permissions].map(([vhost, granted]) => ({ user: user.name, vhost, ...granted }));
}

function limitsOf({ user, limits }: Account): object[] {
  return limits.size === 0 ? [] : [{ user: user.name, value: Object.fromEntries(limits) }];
}

function shownQueue(name: string, messages: number): object {
  const counts = { messages, messages_ready: messages, messages_unacknowledged: 0, message_bytes: 100 * messages };
  return { name, type: 'classic', ...counts, consumers: 1, state: 'running' };
}
