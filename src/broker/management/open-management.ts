import { createManagement, type Management } from './management.ts';
import type { Config } from '../../config/config.ts';
import { permuted } from '../../contract/address-choice.ts';
import { contractNames } from '../../contract/names.ts';
import { parseHttpUrls } from '../../contract/url.ts';
import { Secret } from '../../util/secret.ts';

/** What a caller may replace in {@link openManagement}. */
interface OpenManagementOptions {
  /** Which order of the addresses is tried, as in `createAddressChoice`; that of the list when absent. */
  readonly spread?: number;
  /** Called when no address answers any more, and when one does again. */
  readonly onReachable?: (isReachable: boolean) => void;
  /** Tests inject faults here. */
  readonly wrapManagement?: (management: Management) => Management;
}

/** The time-out of a call outside a write window, in ms. */
const MANAGEMENT_TIMEOUT_MS = 5_000;

/** Creates the client of the configured management API. */
export function openManagement(config: Config, options: OpenManagementOptions = {}): Management {
  const urls = parseHttpUrls(config.rabbitmqManagementUrl.reveal());
  const [{ login }] = urls;
  const [url = '', ...otherUrls] = permuted(urls, options.spread ?? 0).map((one) => one.url);
  const management = createManagement({
    url,
    otherUrls,
    onReachable: options.onReachable,
    username: login?.username ?? '',
    password: new Secret(login?.password ?? ''),
    ca: config.rabbitmqCa,
    timeoutMs: MANAGEMENT_TIMEOUT_MS,
    concurrency: config.managementConcurrency,
    probe: { vhost: config.requestVhost, name: contractNames(config.id).requestQueue },
  });
  return options.wrapManagement?.(management) ?? management;
}
