import type { ClaimResult } from '../../src/namespaces/claim/claim.ts';
import { accountName } from '../../src/namespaces/accounts/account-names.ts';
import { activeSlot } from '../../src/namespaces/slots.ts';
import { EPOCH_MS } from './machine.ts';

/** Credentials that a client got. */
export interface Credential {
  readonly namespace: string;
  readonly incarnation: string;
  readonly generation: number;
  readonly account: string;
  readonly password: string;
  /** When it was handed out for the first time. */
  readonly firstMs: number;
  /** Until when they must open a connection, in true time, by the slowest clock that a client may have. */
  untilMs: number;
}

/** All credentials that were handed out in a history. */
export interface Credentials {
  readonly all: readonly Credential[];
  of(account: string): readonly Credential[];
  /** Adds the result of a claim. */
  add(result: ClaimResult, nowMs: number): Credential;
}

/** @param slowestMs by how much the clock of a client may be behind the true time. */
export function createCredentials(slowestMs: number): Credentials {
  const all: Credential[] = [];
  const byAccount = new Map<string, Credential[]>();
  return {
    all,
    of: (account) => byAccount.get(account) ?? [],
    add({ record, connectionString, reclaimAtMs }, nowMs) {
      const account = accountName('', record.namespace, activeSlot(record));
      const password = new URL(connectionString).password;
      const untilMs = reclaimAtMs - EPOCH_MS + slowestMs;
      const known = byAccount.get(account)?.find((added) => added.password === password);
      if (known !== undefined) {
        known.untilMs = Math.max(known.untilMs, untilMs);
        return known;
      }
      const { namespace, incarnation, generation } = record;
      const credential: Credential = { namespace, incarnation, generation, account, password, firstMs: nowMs, untilMs };
      all.push(credential);
      byAccount.set(account, [...(byAccount.get(account) ?? []), credential]);
      return credential;
    },
  };
}
