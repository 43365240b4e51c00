import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runCommand } from '../../dev/commands.ts';
import { runShell, useBlocks } from '../docs/blocks.ts';
import {
  clientEnvironment,
  makeInstallation,
  teamNamespace,
  TEAM,
  useInstallation,
  withPort,
} from '../support/agent.ts';
import { sharedBroker } from '../support/broker.ts';
import { makeFolder } from '../support/folders.ts';
import { runProgram } from '../support/program.ts';
import { preparePython, type Python, PYTHON_CLIENT } from '../support/python.ts';
import { makeRelay } from '../support/tcp-relay.ts';
import { behavesAsClient } from './behaves-as-client.ts';

const INSTALL_MS = 300_000;

/** A client of the environment. */
const BEGINNING = [
  'import os, time',
  'from pulse_agent_client import *',
  'credentials = Credentials(os.environ["TASKCLUSTER_CLIENT_ID"], os.environ["TASKCLUSTER_ACCESS_TOKEN"])',
  'options = dict(agent_id=os.environ["PULSE_AGENT_ID"], audience=os.environ["PULSE_AGENT_AUDIENCE"])',
  'client = PulseAgentClient(os.environ["PULSE_AGENT_URL"], credentials, **options)',
];

/** Calls until an alarm comes, and then until it is over. */
const WAITING = [
  'client.ping()',
  'print("ready", flush=True)',
  'said = ""',
  'while "alarm" not in said:',
  '    try: client.ping(timeout=1)',
  '    except Unavailable as error: said = str(error)',
  'print(said, flush=True)',
  'client.ping(timeout=60)',
  'print("over")',
  'client.close()',
];

describe('the client library in Python', function () {
  this.timeout(120_000);
  let python: Python;
  before('install what it needs', async function () {
    this.timeout(INSTALL_MS);
    python = await preparePython(this);
  });

  const run = (args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<string> =>
    runCommand(python.command, args, { cwd: PYTHON_CLIENT, env: { ...python.env, ...env } });

  describe('in each situation', () => {
    behavesAsClient(() => ({
      command: python.command,
      args: [join(PYTHON_CLIENT, 'tests/driver.py')],
      cwd: PYTHON_CLIENT,
      env: python.env,
    }));
  });

  it('agrees with the protocol vectors', async () => {
    const vectors = join(process.cwd(), 'docs/protocol-vectors.json');
    assert.match(await run(['tests/check_vectors.py', vectors]), /^[0-9]{2,} vectors agree$/);
  });

  it('is typed strictly', async () => {
    const cache = makeFolder('mypy');
    assert.match(await run(['-m', 'mypy', '--cache-dir', cache]), /^Success: no issues found/);
  });

  it('has the license of the project', () => {
    assert.equal(readFileSync(join(PYTHON_CLIENT, 'LICENSE'), 'utf8'), readFileSync('LICENSE', 'utf8'));
  });

  describe('with a script', () => {
    const installation = useInstallation();

    const script = (lines: readonly string[], url = installation().claimantUrl): Promise<string> =>
      run(['-c', [...BEGINNING, ...lines].join('\n')], {
        ...clientEnvironment(installation()),
        PULSE_AGENT_URL: url,
      });

    it('closes a connection that is idle, and opens another one when it needs it', async () => {
      const relay = await makeRelay((await sharedBroker()).amqpPort);
      const output = await script(
        [
          'import threading',
          'from pulse_agent_client import _connection',
          '_connection.IDLE_SECONDS = 0.1',
          'client.ping()',
          '[thread.join() for thread in threading.enumerate() if thread is not threading.main_thread()]',
          'print(client.ping().alive)',
          'client.close()',
        ],
        withPort(installation().claimantUrl, relay.port),
      );
      assert.equal(output, 'True');
      assert.equal(relay.accepted(), 2);
    });

    it('ends with its last line where it is not closed', async () => {
      await script([`lease = client.lease("${teamNamespace()}")`]);
    });

    it('names the alarm of RabbitMQ that a call waits for, and goes on after it', async () => {
      const { broker, claimantUrl } = installation();
      const waiting = runProgram(python.command, ['-c', [...BEGINNING, ...WAITING].join('\n')], {
        cwd: PYTHON_CLIENT,
        env: { ...python.env, ...clientEnvironment(installation()), PULSE_AGENT_URL: claimantUrl },
      });
      await waiting.printed('ready');
      await broker.rabbitmqctl(['set_vm_memory_high_watermark', '0.00001']);
      try {
        await waiting.printed('RabbitMQ has an alarm and takes no messages until it is over: low on memory');
      } finally {
        await broker.rabbitmqctl(['set_vm_memory_high_watermark', '0.6']);
      }
      assert.equal(await waiting.exited, 0, waiting.output());
      assert.match(waiting.output(), /over$/m);
    });

    it('does not take a RabbitMQ that stops during the login for one that refuses', async () => {
      const output = await script([
        'import socket, threading',
        'from pika import frame, spec',
        'server = socket.create_server(("127.0.0.1", 0))',
        'def serve():',
        '    while True:',
        '        near, _ = server.accept()',
        '        near.recv(8)',
        '        near.sendall(frame.Method(0, spec.Connection.Start(server_properties={})).marshal())',
        '        near.recv(1000)',
        '        near.close()',
        'threading.Thread(target=serve, daemon=True).start()',
        'try:',
        '    PulseAgentClient(f"amqp://127.0.0.1:{server.getsockname()[1]}").ping(timeout=1)',
        'except PulseAgentError as error:',
        '    print(error.code, error.retryable)',
      ]);
      assert.equal(output, 'Unavailable True');
    });

    it('refuses options that cannot work, and shows no part of a URL', async () => {
      const output = await script([
        'for url, given in [("tcp://user:secret@127.0.0.1", {}), ("amqp://user:secret@host:port/x", {}),',
        '        ("amqp://127.0.0.1", {"agent_id": "A"}), ("amqp://127.0.0.1", {"timeout": 0}),',
        '        ("amqps://127.0.0.1", {"ca": "no certificate"})]:',
        '    try:',
        '        PulseAgentClient(url, **given)',
        '    except InputError as error:',
        '        print(error.details["field"], "secret" in repr(error))',
        'print("secret" in repr(Credentials("id", "secret")))',
      ]);
      const refused = ['url', 'url', 'agent_id', 'timeout', 'ca'].map((field) => `${field} False`);
      assert.deepEqual(output.split('\n'), [...refused, 'False']);
    });
  });

  describe('README.md', () => {
    const blocks = useBlocks('clients/python/README.md');
    let packages: string;

    before('install it', async () => {
      packages = makeFolder('python-packages');
      const block = blocks.take('pip install', { 'path/to/pulse-agent/clients/python': PYTHON_CLIENT });
      // The packages that it needs are in the tests' cache.
      const env = { PIP_TARGET: packages, PIP_NO_DEPS: '1', PIP_NO_BUILD_ISOLATION: '0', PIP_NO_COMPILE: '1' };
      await runShell(
        { ...block, text: block.text.replace('python3', python.command) },
        { env: { ...environment(), ...env } },
      );
    });

    const environment = (): Record<string, string> => {
      const path = [packages, python.packages].join(':');
      return { ...(python.env as Record<string, string>), PYTHONPATH: path };
    };

    it('holds a namespace through a rotation, a lost network and a restart of the agent', async () => {
      const relay = await makeRelay((await sharedBroker()).amqpPort);
      const installation = await makeInstallation({
        settings: { rotationIntervalSeconds: 3 },
        environment: { PUBLIC_AMQP_URL: `amqp://127.0.0.1:${relay.port}` },
      });
      const agent = await installation.start();
      const folder = makeFolder('python-service');
      writeFileSync(join(folder, 'service.py'), blocks.take('def work(lease').text);
      const { claimantUrl, config, taskcluster } = installation;
      const { clientId, accessToken } = taskcluster.credentials(TEAM);
      const namespace = teamNamespace();
      const { text } = blocks.take('python3 service.py', {
        'amqp://pulse-agent-claimant:…@127.0.0.1:5672/pulse-agent': withPort(claimantUrl, relay.port),
        'team-a/service': clientId,
        'for-development-only-team-a-service-00001': accessToken,
        'taskcluster-team-a': namespace,
        python3: `exec ${python.command}`,
      });
      const env = { ...environment(), PULSE_AGENT_ID: config.id, PULSE_AGENT_AUDIENCE: config.audience };
      const service = runProgram('bash', ['-euc', text], { cwd: folder, env });
      await service.printed('received: hello from Python', 2);
      assert.doesNotMatch(service.output(), /lost|not renewed/);
      relay.cut();
      await service.printed('the connection is lost');
      relay.restore();
      await service.printed('received: hello from Python', 3);
      await agent.stop();
      const received = service.output().split('received: ').length - 1;
      await installation.start();
      await service.printed('received: hello from Python', received + 1);
      service.signal('SIGTERM');
      assert.equal(await service.exited, 0, service.output());
    });

    describe('in a script', () => {
      const installation = useInstallation();

      it('makes single calls, and tells errors apart', async () => {
        const calls = blocks.take('client.ping().version').text;
        const errors = blocks.take('except InsufficientScopes').text;
        const script = [
          ...BEGINNING,
          'from functools import partial',
          'url = os.environ["PULSE_AGENT_URL"]',
          'PulseAgentClient = partial(PulseAgentClient, **options)',
          calls,
          'client = PulseAgentClient(url, credentials)',
          errors,
        ].join('\n');
        const env = { ...environment(), ...clientEnvironment(installation()) };
        const output = (await runCommand(python.command, ['-c', script], { env })).split('\n');
        assert.match(output[1] ?? '', / 1$/);
        assert.equal(output[2], 'active');
        assert.equal(output.at(-1), 'needed: pulse:namespace:taskcluster-of-somebody-else');
      });
    });
  });
});
