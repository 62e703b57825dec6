import assert from 'node:assert/strict';
import { test } from 'node:test';
import { summarize } from './benchmark-result.ts';
import { panelsOf, renderPlot } from './result-plot.ts';

const ROWS = summarize([
  { workload: 'write', subject: 'colobus serve', unit: 'IOPS', samples: [30_000, 20_000, 25_000] },
  { workload: 'checkpoint', subject: 'colobus serve', unit: 'ms', samples: [0] },
  { workload: 'write', subject: 'nbdkit', unit: 'IOPS', samples: [10_000, 10_000, 10_000] },
]);

test('a panel holds the subjects of one workload, on a scale that reaches its largest sample', () => {
  assert.deepEqual(panelsOf(ROWS), [
    {
      title: 'write',
      limit: 30_000,
      bars: [
        { subject: 'colobus serve', median: 25_000, low: 20_000, high: 30_000, label: '25000 IOPS', isOurs: true },
        { subject: 'nbdkit', median: 10_000, low: 10_000, high: 10_000, label: '10000 IOPS', isOurs: false },
      ],
    },
    {
      title: 'checkpoint',
      limit: 1,
      bars: [{ subject: 'colobus serve', median: 0, low: 0, high: 0, label: '0 ms', isOurs: true }],
    },
  ]);
});

test('a plot is an SVG that names its title, its machine, every workload, subject and figure', () => {
  const svg = renderPlot('serve: one image', '2 cores', ROWS);
  assert.match(svg, /^<svg /);
  for (const text of ['serve: one image', '2 cores', 'write', 'checkpoint', 'colobus serve', 'nbdkit', '25000 IOPS']) {
    assert.ok(svg.includes(`>${text}<`), text);
  }
});
