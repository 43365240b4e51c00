import { builtFile } from '../support/built-agent.ts';
import { behavesAsClient } from './behaves-as-client.ts';

describe('the client library in TypeScript', function () {
  this.timeout(120_000);
  behavesAsClient(async () => ({
    command: process.execPath,
    args: [await builtFile('test/clients/typescript-driver.js')],
    cwd: process.cwd(),
    env: process.env,
  }));
});
