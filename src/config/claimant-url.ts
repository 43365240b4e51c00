import { contractNames } from '../contract/names.ts';
import { changeAmqpUrls } from '../contract/url.ts';
import { Secret } from '../util/secret.ts';
import type { Config } from './config.ts';

/**
 * The AMQP URL for a first claim: with the claimant, to the vhost of the requests. Undefined without the claimant's password.
 *
 * @param address `publicAmqpUrl`, which clients use, or `rabbitmqUrl`, which the agent uses
 */
export function claimantUrl(
  config: Pick<Config, 'id' | 'claimantPassword' | 'publicAmqpUrl' | 'rabbitmqUrl' | 'requestVhost'>,
  address: 'publicAmqpUrl' | 'rabbitmqUrl',
): Secret | undefined {
  const { id, claimantPassword, requestVhost: vhost, publicAmqpUrl, rabbitmqUrl } = config;
  if (claimantPassword === undefined) return undefined;
  const base = address === 'publicAmqpUrl' ? publicAmqpUrl : rabbitmqUrl.reveal();
  const login = { username: contractNames(id).claimantUser, password: claimantPassword.reveal() };
  return new Secret(changeAmqpUrls(base, { vhost, login }));
}

/** The same for people: with dots in place of the password. */
export function shownClaimantUrl(config: Pick<Config, 'id' | 'publicAmqpUrl' | 'requestVhost'>): string {
  const { id, publicAmqpUrl, requestVhost: vhost } = config;
  const url = changeAmqpUrls(publicAmqpUrl, { vhost, login: undefined });
  return url.replaceAll('://', `://${contractNames(id).claimantUser}:…@`);
}
