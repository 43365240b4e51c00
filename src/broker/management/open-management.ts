import { createManagement, type Management } from './management.ts';
import type { Config } from '../../config/config.ts';
import { Secret } from '../../util/secret.ts';

/** What a caller may replace in {@link openManagement}. */
interface OpenManagementOptions {
  /** Tests inject faults here. */
  readonly wrapManagement?: (management: Management) => Management;
}

/** The time-out of a call outside a write window, in ms. */
const MANAGEMENT_TIMEOUT_MS = 5_000;

/** Creates the client of the configured management API. */
export function openManagement(config: Config, options: OpenManagementOptions = {}): Management {
  const url = new URL(config.rabbitmqManagementUrl.reveal());
  const username = decodeURIComponent(url.username);
  const password = new Secret(decodeURIComponent(url.password));
  url.username = '';
  url.password = '';
  const management = createManagement({
    url: url.href.replace(/\/$/, ''),
    username,
    password,
    ca: config.rabbitmqCa,
    timeoutMs: MANAGEMENT_TIMEOUT_MS,
    concurrency: config.managementConcurrency,
  });
  return options.wrapManagement?.(management) ?? management;
}
