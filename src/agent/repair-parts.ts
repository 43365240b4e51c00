import { createSweepBindings } from '../broker/sweep-bindings.ts';
import type { BindingRemover } from '../broker/foreign-bindings.ts';
import { systemSleep } from '../util/clock.ts';
import type { Audit } from '../audit/audit.ts';
import { contractNames } from '../contract/names.ts';
import { type NamespacePartsSettings, type NamespaceParts, tellClosed } from './namespace-parts.ts';
import { createPasswordCheck, createVerifiedHashes } from '../namespaces/accounts/password-check.ts';
import { createReconcile, type Reconcile } from '../namespaces/reconciliation/reconcile.ts';
import { createRepair, type Repair } from '../namespaces/reconciliation/repair.ts';

/** What puts right what somebody changed. */
export interface RepairParts {
  readonly repair: Repair;
  readonly reconcile: Reconcile;
}

/** So many unknown users are named in the log; there may be thousands. */
const MOST_NAMES = 20;

/** Builds the parts, and has them tell what they do as events and in the log. */
export function createRepairParts(
  { config, store, management, clock, sleep = systemSleep, random, log, events, audit }: NamespacePartsSettings,
  { keyring, intervals, accounts, backoff, bounds, revoker, endAgain, clearLeftovers }: NamespaceParts,
  remover: Pick<BindingRemover, 'remove'>,
): RepairParts {
  const { id, vhost, usernamePrefix, namespacePrefix } = config;
  const agentUser = decodeURIComponent(new URL(config.rabbitmqUrl.reveal()).username);
  const check = createPasswordCheck({ keyring, storeId: store.storeId, usernamePrefix });
  const settings = { agentId: id, usernamePrefix, vhost, limits: config.accountLimits };
  const repair = createRepair({
    store: store.namespaces,
    management,
    accounts,
    check,
    keyring,
    clock,
    bounds,
    sleep,
    random,
    intervals,
    settings,
    finishRevocation: (namespace, signal) => revoker.finish(namespace, signal),
    clearLeftovers,
    onRepaired({ namespace, account, repaired }) {
      events.emit('account.repaired', { namespace, account, repaired: [...repaired] });
      audit.record({
        action: 'repair',
        namespace,
        subject: account,
        reason: 'it was not as recorded',
        details: { repaired: repaired.join() },
      });
      log.warn(
        { code: 'account_repaired', namespace, account, repaired },
        'repaired an account that differed from its record',
      );
    },
    onAdvanced(advanced) {
      const { namespace, ...details } = advanced;
      audit.record({ action: 'repair', namespace, reason: 'its record was behind its accounts', details });
      log.warn({ code: 'record_advanced', ...advanced }, 'advanced a record that was behind its accounts');
    },
  });
  const reconcile = createReconcile({
    store: store.namespaces,
    management,
    verified: createVerifiedHashes(check),
    keyring,
    clock,
    bounds,
    intervals,
    settings: {
      ...settings,
      namespacePrefix,
      ownUsers: new Set([agentUser, contractNames(id).claimantUser]),
      connectionMaxAgeMs: config.connectionMaxAgeSeconds * 1000,
    },
    repair,
    endAgain,
    sweepBindings: createSweepBindings({
      id,
      vhost,
      management,
      remover,
      onForeign({ source, destination, routingKey }, isRemoved) {
        const binding = { source, destination, routingKey };
        if (isRemoved) log.warn({ code: 'foreign_binding_removed', ...binding }, 'removed a foreign binding');
        else
          log.error(
            { code: 'foreign_binding_stuck', ...binding },
            'cannot remove a foreign binding, because its routing key is not UTF-8; delete its source exchange',
          );
      },
    }),
    backoff,
    width: config.managementConcurrency,
    onClosed: (closed) => tellClosed({ ...closed, reason: 'age' }, events, audit),
    onUnknown(users) {
      if (users.length === 0) log.info({ code: 'no_unknown_users' }, 'no unknown account-like users remain');
      else
        log.warn(
          { code: 'unknown_users', count: users.length, users: users.slice(0, MOST_NAMES) },
          'unknown users match the account naming scheme; left untouched',
        );
    },
  });
  return { repair, reconcile };
}

/** The remover, with each binding that it removes written down. */
export function auditRemovals(
  remover: Pick<BindingRemover, 'remove'>,
  audit: Pick<Audit, 'record'>,
): Pick<BindingRemover, 'remove'> {
  return {
    async remove(binding) {
      const isRemoved = await remover.remove(binding);
      if (!isRemoved) return false;
      const { source, destination, routingKey } = binding;
      const reason = 'a foreign binding brought messages to the agent';
      audit.record({ action: 'repair', subject: destination, reason, details: { source, routingKey } });
      return true;
    },
  };
}
