/** How a state is shown: by a shape and a colour, so that neither is needed alone. */

export type Tone = 'good' | 'warn' | 'bad' | 'busy' | 'idle';

export type Shape = 'disc' | 'ring' | 'triangle' | 'square' | 'diamond';

export interface Mark {
  readonly tone: Tone;
  readonly shape: Shape;
  /** The state in words. */
  readonly label: string;
}

const MARKS: Readonly<Record<string, Mark>> = {
  // Installations and agents.
  well: { tone: 'good', shape: 'disc', label: 'ready' },
  ready: { tone: 'good', shape: 'disc', label: 'ready' },
  degraded: { tone: 'warn', shape: 'triangle', label: 'degraded' },
  down: { tone: 'bad', shape: 'square', label: 'down' },
  'not-ready': { tone: 'bad', shape: 'square', label: 'not ready' },
  starting: { tone: 'busy', shape: 'ring', label: 'starting' },
  stopping: { tone: 'busy', shape: 'ring', label: 'stopping' },
  lost: { tone: 'bad', shape: 'square', label: 'lost' },
  replaced: { tone: 'idle', shape: 'ring', label: 'replaced' },
  // Parts and runs of jobs.
  up: { tone: 'good', shape: 'disc', label: 'up' },
  ok: { tone: 'good', shape: 'disc', label: 'worked' },
  failed: { tone: 'bad', shape: 'square', label: 'failed' },
  late: { tone: 'warn', shape: 'triangle', label: 'late' },
  // The cluster of RabbitMQ.
  whole: { tone: 'good', shape: 'disc', label: 'whole' },
  incomplete: { tone: 'warn', shape: 'triangle', label: 'nodes are missing' },
  split: { tone: 'bad', shape: 'square', label: 'split' },
  restoring: { tone: 'busy', shape: 'ring', label: 'being restored' },
  // Namespaces.
  active: { tone: 'good', shape: 'disc', label: 'active' },
  provisioning: { tone: 'busy', shape: 'ring', label: 'provisioning' },
  expiring: { tone: 'warn', shape: 'triangle', label: 'expiring' },
  // Queues.
  watched: { tone: 'good', shape: 'disc', label: 'watched' },
  warned: { tone: 'warn', shape: 'triangle', label: 'warned' },
  deleting: { tone: 'bad', shape: 'square', label: 'deleting' },
  exempt: { tone: 'idle', shape: 'diamond', label: 'exempt' },
  unclaimed: { tone: 'idle', shape: 'ring', label: 'unclaimed' },
};

/** Whether a state has a mark of its own. */
export function isKnownState(state: string): boolean {
  return Object.hasOwn(MARKS, state);
}

/** The mark of a state. One that the page does not know is shown by its name. */
export function markOf(state: string): Mark {
  return (isKnownState(state) ? MARKS[state] : undefined) ?? { tone: 'idle', shape: 'ring', label: state };
}

/** Whether the outcome of a decision is the one that was wanted. */
export function isSuccess(outcome: string): boolean {
  return outcome === 'done' || outcome === 'sent';
}

/** The tone of an event or of an audit record, by its type or action and its outcome. */
export function toneOfHappening(type: string, outcome = 'done'): Tone {
  if (!isSuccess(outcome)) return 'warn';
  if (/queue\.(?:deleted|purged)|queue-(?:deletion|purge)|namespace\.revoked|revocation|failing|failed/.test(type))
    return 'bad';
  if (/warning|queue[.-]left|expiring|expired|deletion|refused|alarm|repair/.test(type)) return 'warn';
  if (/rotat|claim|recovered/.test(type)) return 'good';
  return 'idle';
}
