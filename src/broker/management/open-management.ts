import { createManagement, type Management } from './management.ts';
import type { Config } from '../../config/config.ts';
import { contractNames } from '../../contract/names.ts';
import { parseHttpUrl } from '../../contract/url.ts';
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
  const { url, login } = parseHttpUrl(config.rabbitmqManagementUrl.reveal());
  const management = createManagement({
    url,
    username: login?.username ?? '',
    password: new Secret(login?.password ?? ''),
    ca: config.rabbitmqCa,
    timeoutMs: MANAGEMENT_TIMEOUT_MS,
    concurrency: config.managementConcurrency,
    probe: { vhost: config.requestVhost, name: contractNames(config.id).requestQueue },
  });
  return options.wrapManagement?.(management) ?? management;
}
