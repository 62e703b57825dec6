#!/usr/bin/env node
// Looks at the version before it loads anything, so that a Node that is too old gets one clear line.
const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  process.stderr.write(
    `colobus: Node ${process.versions.node} is too old, this program, install Node 20.19 or newer\n`,
  );
  process.exit(2);
} else {
  import('../dist/src/cli/main.js').then(({ main }) => main(process.argv.slice(2)));
}
