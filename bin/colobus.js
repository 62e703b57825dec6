#!/usr/bin/env node
// CommonJS (bin/package.json), so that it runs before anything uses libuv's thread pool, whose size is fixed then.
// Looks at the version before it loads anything, so that a Node that is too old gets one clear line.
'use strict';

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  process.stderr.write(
    `colobus: Node ${process.versions.node} is too old, this program, install Node 20.19 or newer\n`,
  );
  process.exit(2);
} else {
  // What loading leaves behind would make the heap of young objects grow, and an idle daemon keep that memory for good.
  require('node:v8').setFlagsFromString('--semi-space-growth-factor=1');
  // Threads wait for disks; a few slow disks must not take them all.
  process.env.UV_THREADPOOL_SIZE ??= '32';
  import('../dist/src/cli/main.js').then(({ main }) => main(process.argv.slice(2)));
}
