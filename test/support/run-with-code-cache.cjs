// Runs the function `run` of a bundle with V8's code cache, which is kept beside the bundle: compiling the code again would
// take a good part of its start.
//
//   node test/support/run-with-code-cache.cjs <bundle.cjs>
//   node test/support/run-with-code-cache.cjs <bundle.cjs> --make     writes the cache and does not run the bundle
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
// Written after loading, so that it includes the functions that loading calls.
if (making) writeFileSync(kept, script.createCachedData());
else void loaded.exports.run();
