import { createManagement, type Management } from './management.ts';
import type { Config } from '../../config/config.ts';
import { Secret } from '../../util/secret.ts';

/** What {@link openManagement} may be told besides. */
export interface OpenManagementOptions {
  /** Tests put faults around the calls there. */
  readonly wrapManagement?: (management: Management) => Management;
}

/** One management call outside a write window, in ms. */
const MANAGEMENT_TIMEOUT_MS = 5_000;

/** The management API as the configuration says. */
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
