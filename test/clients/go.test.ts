import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runCommand } from '../../dev/commands.ts';
import { accountNames } from '../../src/namespaces/accounts/account-names.ts';
import { type Block, runShell, useBlocks } from '../docs/blocks.ts';
import { clientEnvironment, TEAM, teamNamespace, useInstallation } from '../support/agent.ts';
import { cutConnections, manage, openConnection } from '../support/broker.ts';
import { concurrentTests } from '../support/concurrent-tests.ts';
import { makeFolder } from '../support/folders.ts';
import { buildGoTests, type Go, GO_CLIENT, prepareGo } from '../support/go.ts';
import { runProgram } from '../support/program.ts';
import { waitUntil } from '../support/watched-installation.ts';
import { behavesAsClient } from './behaves-as-client.ts';

const BUILD_MS = 600_000;

/** What runs the pieces of code in README.md. */
const FRAGMENTS = `package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	"example.com/pulseagent"
)

const namespace = "NAMESPACE"

func open(connectionString string, recycleAt time.Time, changed <-chan struct{}) {
	fmt.Println("opened", connectionString[:5], recycleAt, changed != nil)
}

func main() {
	ctx := context.Background()
	client, err := pulseagent.New(pulseagent.Options{
		URL: os.Getenv("PULSE_AGENT_URL"), ID: os.Getenv("PULSE_AGENT_ID"), Audience: os.Getenv("PULSE_AGENT_AUDIENCE"),
		Credentials: pulseagent.Credentials{
			ClientID: os.Getenv("TASKCLUSTER_CLIENT_ID"), AccessToken: os.Getenv("TASKCLUSTER_ACCESS_TOKEN"),
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	lease, err := client.Lease(ctx, pulseagent.LeaseRequest{Namespace: namespace})
	if err != nil {
		log.Fatal(err)
	}
	if err := errors.Join(credentials(ctx, client, lease), calls(ctx, client, lease), errs(ctx, client, lease)); err != nil {
		log.Fatal(err)
	}
}
`;

describe('the client module for Go', function () {
  this.timeout(120_000);
  let go: Go;
  let tests: string;
  before('build it', async function () {
    this.timeout(BUILD_MS);
    go = prepareGo(this);
    tests = await buildGoTests(go, makeFolder('go'));
  });

  const test = async (args: readonly string[], environment: Readonly<Record<string, string>> = {}): Promise<string> =>
    await runCommand(tests, ['-test.v', ...args], { cwd: GO_CLIENT, env: { ...go.env, ...environment } });

  it('passes its own tests, with the vectors of the contract, and leaves no goroutine', async () => {
    const output = await test(['-test.skip=Live']);
    assert.equal(output.split('--- PASS: TestVector').length - 1, 4, output);
    assert.match(output, /\nPASS$/);
  });

  describe('with an agent that rotates', function () {
    this.timeout(BUILD_MS);
    const readme = useBlocks('clients/go/README.md');
    const installation = useInstallation({ settings: { rotationIntervalSeconds: 2 } });
    const live = async (name: string): Promise<void> => {
      const output = await test([`-test.run=TestLive${name}$`], clientEnvironment(installation(), TEAM));
      assert.match(output, new RegExp(`--- PASS: TestLive${name} `), output);
    };
    // No module is needed that the client does not need.
    const environment = (): Record<string, string> => ({
      ...(go.env as Record<string, string>),
      ...clientEnvironment(installation(), TEAM),
      GOPROXY: 'off',
      GOSUMDB: 'off',
    });

    /** A new module with this program. */
    async function makeModule(install: Block, text: string): Promise<string> {
      const folder = makeFolder('module');
      await runShell(install, { cwd: folder, env: environment() });
      writeFileSync(join(folder, 'main.go'), text);
      return folder;
    }

    let install: Block;
    before('read how to install it', () => {
      install = readme.take('go get', { 'path/to/pulse-agent/clients/go': GO_CLIENT });
    });

    concurrentTests((it) => {
      it('loses and repeats no message over rotations', async () => {
        await live('KeepsAConnectionOverRotations');
      });

      it('begins a session for another, and ends them', async () => {
        await live('EndsASession');
      });

      it('closes without a goroutine left', async () => {
        await live('LeavesNothing');
      });

      it('README.md has a service that keeps its namespace over rotations and lost connections', async () => {
        const { claimantUrl, taskcluster, vhost, broker, config } = installation();
        const namespace = teamNamespace();
        const { text } = readme.take('lease.KeepConnected(ctx, consume)', { 'taskcluster-team-a': namespace });
        const folder = await makeModule(install, text);
        const { clientId, accessToken } = taskcluster.credentials(TEAM);
        const run = readme.take('./service', {
          'amqp://pulse-agent-claimant:…@127.0.0.1:5672/pulse-agent': claimantUrl,
          'team-a/service': clientId,
          'for-development-only-team-a-service-00001': accessToken,
          '&& ./service': '&& exec ./service',
        });
        const service = runProgram('bash', ['-euc', run.text], { cwd: folder, env: environment() });
        await service.printed('received: hello from Go');

        const channel = await (await openConnection(vhost.amqpUrl)).createChannel();
        const greet = async (greeting: string): Promise<void> => {
          channel.publish(`exchange/${namespace}/greetings`, 'greeting.test', Buffer.from(greeting));
          await service.printed(`received: ${greeting}`);
        };
        const seen = new Set<string>();
        const users = async (): Promise<string[]> => {
          const { body } = await manage(broker, 'GET', `/vhosts/${vhost.vhost}/connections`);
          const accounts = accountNames(config.usernamePrefix, namespace);
          return (body as { user: string }[]).map(({ user }) => user).filter((user) => accounts.includes(user));
        };
        await waitUntil(async () => {
          for (const user of await users()) seen.add(user);
          return seen.size === 2;
        }, 'it has connections with the credentials of both accounts');
        await greet('after a rotation');
        for (const user of await users()) await cutConnections(broker, user);
        await greet('after lost connections');
        assert.equal(service.output().split('received: hello from Go').length - 1, 1, service.output());
        service.signal('SIGTERM');
        assert.equal(await service.exited, 0, service.output());
      });

      it('README.md has calls, errors and credentials', async () => {
        const fragment = (name: string, block: Block, end: string): string =>
          `func ${name}(ctx context.Context, client *pulseagent.Client, lease *pulseagent.Lease) error {\n${block.text}${end}\n}\n`;
        const text = `${FRAGMENTS.replace('NAMESPACE', teamNamespace())}
          ${fragment('credentials', readme.take('lease.Credentials(ctx)'), 'return nil')}
          ${fragment('calls', readme.take('client.Ping(ctx)'), 'return err')}
          ${fragment('errs', readme.take('pulseagent.InsufficientScopes)'), 'return nil')}`;
        const folder = await makeModule(install, text);
        const output = await runCommand(go.command, ['run', '.'], { cwd: folder, env: environment() });
        assert.match(
          output,
          /^opened amqp:.*\n\d.* true\n(?:\S+ \w+\n)+held by \S+\nneeded: pulse:namespace:taskcluster-of-others$/,
        );
      });

      it('README.md says how to test it', async () => {
        const env = go.env as Record<string, string>;
        const { stdout } = await runShell(readme.take('go vet'), { cwd: GO_CLIENT, env });
        assert.match(stdout, /^ok /m);
      });
    });

    it('names the alarm that it waits for, and closes during one', async () => {
      const { broker } = installation();
      await broker.rabbitmqctl(['set_vm_memory_high_watermark', '0.00001']);
      try {
        await live('NamesTheAlarm');
      } finally {
        await broker.rabbitmqctl(['set_vm_memory_high_watermark', '0.6']);
      }
    });

    it('sends on another channel after a full queue', async () => {
      await installation().agent.stop();
      await live('SendsOnAnotherChannelAfterAFullQueue');
    });
  });

  behavesAsClient(() => ({ command: tests, args: [], cwd: GO_CLIENT, env: { ...go.env, PULSEAGENT_DRIVER: '1' } }));
});
