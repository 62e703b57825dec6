/** A benchmark result for people. */

import { type BenchmarkResult, isOurs, type Row, type Target } from './benchmark-result.ts';

/** The rows and targets as a text of several lines. */
export function resultTable({ rows, targets, failures }: BenchmarkResult): string {
  const header = ['workload', 'subject', 'median', 'spread', 'ratio', 'CPU µs a request'];
  const failed = failures.map(({ group, reason }) => `MISSED  ${group}: could not be measured: ${reason}`);
  return [...columns([header, ...rows.map(cells)]), '', ...targets.map(describeTarget), ...failed].join('\n');
}

function cells(row: Row): string[] {
  const peers = isOurs(row.subject) ? Object.entries(row.ratio).filter(([peer]) => !isOurs(peer)) : [];
  const ratios = peers.map(([peer, ratio]) => `${figure(ratio)} × ${peer}`);
  const cpu = Object.entries(row.cpuUsPerRequest).map(([process, us]) => `${process} ${us.toFixed(1)}`);
  const spread = `${(row.spread * 100).toFixed(0)} %`;
  return [row.workload, row.subject, `${figure(row.median)} ${row.unit}`, spread, ratios.join(', '), cpu.join(', ')];
}

/** Three digits at least where there are any. */
export function figure(value: number): string {
  const size = Math.abs(value);
  if (size >= 100 || size === 0) return value.toFixed(0);
  return size >= 1 ? value.toFixed(2) : value.toPrecision(3);
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

function describeTarget({ workload, subject, peer, relation, want, got, met }: Target): string {
  const goal = peer === null ? `${relation} ${want}` : `${relation} ${want} × ${peer}`;
  return `${met ? 'met   ' : 'MISSED'}  ${subject}, ${workload}: ${goal}, got ${figure(got)}`;
}
