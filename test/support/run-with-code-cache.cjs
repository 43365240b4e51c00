// Runs the function `run` of a bundle, with what V8 has made of the bundle's code in another process and is kept beside
// it: to make it anew would take a good part of the bundle's start.
//
//   node test/support/run-with-code-cache.cjs <bundle.cjs>
//   node test/support/run-with-code-cache.cjs <bundle.cjs> --make     keeps it, and runs nothing
const { readFileSync, writeFileSync } = require('node:fs');
const { createRequire } = require('node:module');
const { dirname, resolve } = require('node:path');
const { constants, Script } = require('node:vm');

const [given, making] = process.argv.slice(2);
const bundle = resolve(given);
const kept = `${bundle}.cache`;
const parameters = 'exports, require, module, __filename, __dirname';
const script = new Script(`(function (${parameters}) {${readFileSync(bundle, 'utf8')}\n})`, {
  filename: bundle,
  importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
  ...(making ? {} : { cachedData: readFileSync(kept) }),
});
const loaded = { exports: {} };
script.runInThisContext()(loaded.exports, createRequire(bundle), loaded, bundle, dirname(bundle));
// Now, so that it has the functions that loading calls.
if (making) writeFileSync(kept, script.createCachedData());
else void loaded.exports.run();
