#!/usr/bin/env node
// Parsed by any Node, so that a Node that is too old gets one clear line instead of a syntax error.
var version = process.versions.node.split('.').map(Number);
if (version[0] < 20 || (version[0] === 20 && version[1] < 19)) {
  process.stderr.write('colobus: Node ' + process.versions.node + ' is too old, this program, install Node 20.19 or newer\n');
  process.exit(2);
} else {
  import('../dist/src/cli/main.js').then(function (cli) {
    return cli.main(process.argv.slice(2));
  });
}
