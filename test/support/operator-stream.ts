import type { Agent } from '../../src/agent/agent.ts';
import type { EventView, StreamLine } from '../../src/operator-api/event-schemas.ts';
import { createCondition } from './condition.ts';

/** The stream of events of an agent's page for operators, as it arrives. */
export interface OperatorStream {
  lines(): readonly StreamLine[];
  events(): readonly EventView[];
  /** Waits for a line that is wanted. */
  line(isWanted: (line: StreamLine) => boolean): Promise<StreamLine>;
  /** Waits for an event of this type about this namespace. */
  event(type: string, namespace: string): Promise<EventView>;
  /** Drops what has arrived so far. */
  forget(): void;
  close(): void;
}

/** Opens the stream; the agent has answered. */
export async function openEventStream(
  { httpPort }: Pick<Agent, 'httpPort'>,
  token: string,
  query = '',
): Promise<OperatorStream> {
  const closing = new AbortController();
  const response = await fetch(`http://127.0.0.1:${httpPort}/api/v1/events${query}`, {
    headers: { authorization: `Bearer ${token}` },
    signal: closing.signal,
  });
  if (response.status !== 200) throw new Error(`${response.status} ${await response.text()}`);
  const lines: StreamLine[] = [];
  const condition = createCondition();
  const read = async (): Promise<void> => {
    let rest = '';
    const decoder = new TextDecoder();
    for await (const part of response.body ?? []) {
      const texts = (rest + decoder.decode(part as Uint8Array, { stream: true })).split('\n');
      rest = texts.pop() ?? '';
      lines.push(...texts.map((text) => JSON.parse(text) as StreamLine));
      condition.notify();
    }
  };
  // It ends when it is closed, or with the agent.
  void read().catch(() => undefined);
  const events = (): EventView[] => lines.flatMap((line) => ('event' in line ? [line.event] : []));
  const failure = (): string => `No such line came. The last ones: ${JSON.stringify(lines.slice(-10), null, 1)}`;
  return {
    lines: () => lines,
    events,
    line: (isWanted) => condition.wait(() => lines.find(isWanted), { failure }),
    event: (type, namespace) =>
      condition.wait(() => events().find((event) => event.type === type && event.namespace === namespace), { failure }),
    forget: () => void lines.splice(0),
    close: () => closing.abort(),
  };
}
