import { compactDecrypt, CompactEncrypt, exportJWK, generateKeyPair, importJWK } from 'jose';
import { generateReplyKey, seal } from '../src/contract/sealing.ts';
import { median } from './limits.ts';

// CPU of sealing and opening one result, here and with jose: `node dev/bootstrap.js bench/sealing.ts`. It needs no
// broker. The CPU of all threads counts: jose works in those of libuv.

const ROUNDS = 1_000;
const WARM_UP = 200;
const TURNS = 9;

/** About as long as the result of a claim. */
const RESULT = JSON.stringify({
  namespace: 'taskcluster-builds',
  created: '2026-11-24T12:00:00.000Z',
  expires: '2026-11-24T16:00:00.000Z',
  reclaimAt: '2026-11-24T13:30:00.000Z',
  connectionString: `amqps://taskcluster-builds-1:${'p'.repeat(43)}@pulse.example.com:5671/%2F`,
});

/** Of one call, in µs. */
interface Cost {
  readonly cpu: number;
  readonly time: number;
}

async function costOf(call: () => unknown): Promise<Cost> {
  for (let round = 0; round < WARM_UP; round += 1) await call();
  const [before, startedMs] = [process.cpuUsage(), performance.now()];
  for (let round = 0; round < ROUNDS; round += 1) await call();
  const { user, system } = process.cpuUsage(before);
  return { cpu: (user + system) / ROUNDS, time: ((performance.now() - startedMs) * 1000) / ROUNDS };
}

const own = generateReplyKey();
const sealed = seal(RESULT, own.publicKey);
const other = await generateKeyPair('ECDH-ES', { crv: 'X25519', extractable: false });
const otherPublic = await exportJWK(other.publicKey);
const sealWithJose = async (): Promise<string> =>
  await new CompactEncrypt(Buffer.from(RESULT))
    .setProtectedHeader({ alg: 'ECDH-ES', enc: 'A256GCM' })
    .encrypt(await importJWK(otherPublic, 'ECDH-ES'));
const sealedWithJose = await sealWithJose();

const compared: [what: string, ours: () => unknown, theirs: () => unknown][] = [
  [
    'make a reply key',
    generateReplyKey,
    async () => await exportJWK((await generateKeyPair('ECDH-ES', { crv: 'X25519' })).publicKey),
  ],
  ['seal', () => seal(RESULT, own.publicKey), sealWithJose],
  ['open', () => own.open(sealed), () => compactDecrypt(sealedWithJose, other.privateKey)],
];
const written = (costs: readonly Cost[]): string =>
  `${median(costs.map(({ cpu }) => cpu)).toFixed(0)} µs of CPU in ${median(costs.map(({ time }) => time)).toFixed(0)} µs`;
console.log(`Node ${process.version}\n\n| what | here | jose | CPU |\n| --- | --- | --- | --- |`);
for (const [what, ours, theirs] of compared) {
  const [here, there]: [Cost[], Cost[]] = [[], []];
  // In turns, so that both meet the same load of the machine.
  for (let turn = 0; turn < TURNS; turn += 1) {
    here.push(await costOf(ours));
    there.push(await costOf(theirs));
  }
  const ratio = median(there.map(({ cpu }) => cpu)) / median(here.map(({ cpu }) => cpu));
  console.log(`| ${what} | ${written(here)} | ${written(there)} | ${ratio.toFixed(1)} × |`);
}
