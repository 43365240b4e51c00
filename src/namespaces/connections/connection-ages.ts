import type { ListedConnection } from '../../broker/management/management.ts';

/**
 * Since when connections are open for which RabbitMQ has no age: without statistics it has none. They are as old as this
 * agent knows them, at least.
 */
export interface ConnectionAges {
  /**
   * Records a listing.
   *
   * @param open all open connections
   * @param aged those whose age RabbitMQ knows
   * @param seenMs when they were listed, in ms since the epoch
   * @returns the connections without an age, with when they were first seen in its place
   */
  record(open: readonly ListedConnection[], aged: readonly ListedConnection[], seenMs: number): ListedConnection[];
}

/** Creates the ages, in the memory of this agent, without any. */
export function createConnectionAges(): ConnectionAges {
  let firstSeenMs: ReadonlyMap<string, number> = new Map();
  return {
    record(open, aged, seenMs) {
      const withAge = new Set(aged.flatMap(({ name, connectedAtMs }) => (connectedAtMs === undefined ? [] : [name])));
      const without = open.filter(({ name }) => !withAge.has(name));
      // A closed connection is forgotten: a later one may get its name, which is made of addresses and ports.
      firstSeenMs = new Map(without.map(({ name }) => [name, firstSeenMs.get(name) ?? seenMs]));
      return without.map((connection) => ({ ...connection, connectedAtMs: firstSeenMs.get(connection.name) }));
    },
  };
}
