import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type BenchmarkResult, judge, summarize } from './benchmark-result.ts';
import { figure, resultTable } from './result-table.ts';

test('a figure has three digits where it has any', () => {
  const figures = [0, 3, 1.234, 99.5, 100.4, 12_345.6, 0.04567, 0.5, -2.345].map(figure);
  assert.deepEqual(figures, ['0', '3.00', '1.23', '99.50', '100', '12346', '0.0457', '0.500', '-2.35']);
});

test('the table has a line a row with the ratios of ours to the peers, a line a target and one a failed group', () => {
  const rows = summarize([
    { workload: 'write', subject: 'colobus', unit: 'IOPS', samples: [30], cpuUs: { server: [4.25] } },
    { workload: 'write', subject: 'colobus (TLS)', unit: 'IOPS', samples: [15] },
    { workload: 'write', subject: 'theirs', unit: 'IOPS', samples: [10] },
  ]);
  const targets = judge(rows, [
    { subject: 'colobus', workload: 'write', peer: 'theirs', relation: 'at least', want: 4 },
    { subject: 'colobus', workload: 'write', peer: null, relation: 'at most', want: 40 },
  ]);
  const failures = [{ group: 'slow-disk', reason: 'FUSE is not permitted here' }];
  const lines = resultTable({ rows, targets, failures } as unknown as BenchmarkResult).split('\n');
  assert.deepEqual(lines, [
    'workload  subject        median      spread  ratio          CPU µs a request',
    'write     colobus        30.00 IOPS  0 %     3.00 × theirs  server 4.3',
    'write     colobus (TLS)  15.00 IOPS  0 %     1.50 × theirs',
    'write     theirs         10.00 IOPS  0 %',
    '',
    'MISSED  colobus, write: at least 4 × theirs, got 3.00',
    'met     colobus, write: at most 40, got 30.00',
    'MISSED  slow-disk: could not be measured: FUSE is not permitted here',
  ]);
});
