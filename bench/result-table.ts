/** A benchmark result for people. */

import type { BenchmarkResult, Row, Target } from './benchmark-result.ts';

/** The rows and targets as a text of several lines. */
export function resultTable({ rows, targets }: BenchmarkResult): string {
  const header = ['workload', 'subject', 'median', 'spread', 'ratio', 'CPU µs a request'];
  return [...columns([header, ...rows.map(cells)]), '', ...targets.map(describeTarget)].join('\n');
}

function cells(row: Row): string[] {
  const ratios = Object.entries(row.ratio).map(([peer, ratio]) => `${ratio.toFixed(2)} × ${peer}`);
  const cpu = Object.entries(row.cpuUsPerRequest).map(([process, us]) => `${process} ${us.toFixed(1)}`);
  const median = `${row.median.toFixed(row.median < 100 ? 2 : 0)} ${row.unit}`;
  return [row.workload, row.subject, median, `${(row.spread * 100).toFixed(0)} %`, ratios.join(', '), cpu.join(', ')];
}

function columns(lines: readonly (readonly string[])[]): string[] {
  const widths = (lines[0] ?? []).map((_, column) => Math.max(...lines.map(line => line[column]?.length ?? 0)));
  return lines.map(line =>
    line
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}

function describeTarget({ workload, peer, relation, want, got, met }: Target): string {
  const goal = peer === null ? `${relation} ${want}` : `${relation} ${want} × ${peer}`;
  return `${met ? 'met   ' : 'MISSED'}  ${workload}: ${goal}, got ${got.toFixed(2)}`;
}
