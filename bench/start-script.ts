/**
 * The options of node in the script `start` of package.json, the only place that has them.
 *
 * @throws RangeError when the script does not start the built program with node
 */
export function nodeOptionsOf(script: string): string[] {
  // The shell of npm may be replaced by node, so that signals reach the agent.
  const [node, ...rest] = script.replace(/^exec /, '').split(' ');
  const program = rest.indexOf('dist/cli/main.js');
  const options = rest.slice(0, program);
  if (
    node !== 'node' ||
    program < 0 ||
    rest[program + 1] !== 'serve' ||
    !options.every((one) => one.startsWith('--'))
  ) {
    throw new RangeError(`npm start should be \`node <options> dist/cli/main.js serve\`, and is \`${script}\`.`);
  }
  return options;
}
