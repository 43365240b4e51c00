import assert from 'node:assert/strict';
import { loadConfig } from '../../src/config/config.ts';
import { formatAmqpUrl, formatHttpUrl, parseAmqpUrl, parseHttpUrl } from '../../src/contract/url.ts';
import { makeInstallation, TEAM, teamNamespace } from '../support/agent.ts';
import { BROKER_START_MS, manage } from '../support/broker.ts';
import { addCleanup } from '../support/cleanup.ts';
import { runCommandLine } from '../support/command-line.ts';
import { unique } from '../support/folders.ts';
import { runVerification } from '../support/verification.ts';

/** Characters of one, two, three and four bytes, and those that mean something in a URL. */
const ODD = 'pä€𝄞 :@/?#%25+&=';
const VERIFIER = { clientId: 'operator/verifier', accessToken: 'a-token-for-tests-that-is-long-enough-0001' };

describe('an installation in an ordinary environment', function () {
  this.timeout(BROKER_START_MS);

  it('works with users and passwords of any characters, a public URL without a vhost, and service links', async () => {
    const installation = await makeInstallation();
    const { broker, vhost, environment, taskcluster, names } = installation;
    const login = { username: `agënt/${unique('€')}`, password: `${ODD}${unique('x')}` };
    const path = encodeURIComponent(login.username);
    await manage(broker, 'PUT', `/users/${path}`, { password: login.password, tags: 'administrator' });
    addCleanup(async () => void (await manage(broker, 'DELETE', `/users/${path}`, undefined, [404])));
    const everything = { configure: '.*', write: '.*', read: '.*' };
    for (const where of [vhost.vhost, vhost.requestVhost, '/']) {
      await manage(broker, 'PUT', `/permissions/${encodeURIComponent(where)}/${path}`, everything);
    }
    taskcluster.setClient({ ...VERIFIER, scopes: ['pulse:namespace:taskcluster-verify-*', 'notify:email:*'] });
    const claimantPassword = `${ODD}claimant`;
    const own = {
      ...environment,
      RABBITMQ_URL: formatAmqpUrl({ ...parseAmqpUrl(vhost.amqpUrl), login }),
      RABBITMQ_MANAGEMENT_URL: formatHttpUrl({ ...parseHttpUrl(vhost.managementUrl), login: undefined }),
      PUBLIC_AMQP_URL: `amqp://127.0.0.1:${broker.amqpPort}`,
      PULSE_AGENT_CLAIMANT_PASSWORD: claimantPassword,
      TASKCLUSTER_CLIENT_ID: VERIFIER.clientId,
      TASKCLUSTER_ACCESS_TOKEN: VERIFIER.accessToken,
      PULSE_AGENT_PORT: 'tcp://10.0.0.7:8080',
    };
    const config = loadConfig(own);
    const agent = await runCommandLine(['serve'], own);
    for (const code of ['service_links_ignored', 'broker_events_started', 'agent_started']) {
      await agent.printed(`"code":"${code}"`);
    }

    const reports = await runVerification(config, { endToEnd: true });
    assert.deepEqual(
      reports.filter(({ outcome, step }) => outcome === 'failed' || (step === 'nothing-left' && outcome !== 'ok')),
      [],
    );

    const url = formatAmqpUrl({
      ...parseAmqpUrl(vhost.requestUrl),
      login: { username: names.claimantUser, password: claimantPassword },
    });
    const claim = await installation.client(TEAM, { url }).claimNamespace({ namespace: teamNamespace() });
    assert.equal(parseAmqpUrl(claim.connectionString).vhost, vhost.vhost);
    const ping = await runCommandLine(['ping', '--id', config.id], {
      PULSE_AGENT_URL: url,
      PULSE_AGENT_SERVICE_HOST: '10.0.0.7',
    });
    assert.equal(await ping.exited, 0, ping.stderr());
    agent.signal('SIGTERM');
    assert.equal(await agent.exited, 0, agent.stdout());
  });
});
