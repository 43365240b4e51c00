// Loaded into an agent with `node --import`. At each SIGUSR2 it collects garbage and prints, on standard error, how many
// bytes are in use then: of the heap, and of buffers beside it.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc');
let count = 0;

process.on('SIGUSR2', () => {
  collect();
  const { heapUsed, external } = process.memoryUsage();
  count += 1;
  process.stderr.write(`memory in use ${count}: ${heapUsed + external} bytes\n`);
});
