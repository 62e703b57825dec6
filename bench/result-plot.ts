/**
 * A group's rows as an SVG: a panel a workload, a bar a subject, whose whisker goes from the smallest to the largest
 * sample. Panels have scales of their own, from 0 to their longest bar: what is compared are the subjects of one panel.
 */

import * as echarts from 'echarts';
import { isOurs, type Row } from './benchmark-result.ts';
import { figure } from './result-table.ts';

export type Panel = {
  readonly title: string;
  /** Right end of its scale. */
  readonly limit: number;
  readonly bars: readonly Bar[];
};

export type Bar = {
  readonly subject: string;
  readonly median: number;
  readonly low: number;
  readonly high: number;
  /** The median with its unit. */
  readonly label: string;
  readonly isOurs: boolean;
};

const WIDTH = 900;
const LEFT = 260;
/** For the label behind the longest bar. */
const RIGHT = 130;
const BAR_HEIGHT = 22;
const PANEL_GAP = 44;
const TOP = 92;
const BOTTOM = 16;
const WHISKER_HALF = 5;

const COLOURS = { ours: '#2f6db5', peer: '#a9b4c0', ink: '#222222', faint: '#777777' } as const;

/** The rows by workload, in their order. */
export function panelsOf(rows: readonly Row[]): Panel[] {
  const workloads = [...new Set(rows.map(row => row.workload))];
  return workloads.map(workload => {
    const own = rows.filter(row => row.workload === workload);
    return {
      title: workload,
      limit: Math.max(...own.flatMap(row => row.samples), 0) || 1,
      bars: own.map(row => ({
        subject: row.subject,
        median: row.median,
        low: Math.min(...row.samples),
        high: Math.max(...row.samples),
        label: `${figure(row.median)} ${row.unit}`,
        isOurs: isOurs(row.subject),
      })),
    };
  });
}

/** The picture of a group. `caption` says what it was measured on. */
export function renderPlot(title: string, caption: string, rows: readonly Row[]): string {
  const panels = panelsOf(rows);
  const tops: number[] = [];
  let height = TOP;
  for (const { bars } of panels) {
    tops.push(height);
    height += bars.length * BAR_HEIGHT + PANEL_GAP;
  }
  const chart = echarts.init(null, null, {
    renderer: 'svg',
    ssr: true,
    width: WIDTH,
    height: height - PANEL_GAP + BOTTOM,
  });
  try {
    chart.setOption({ animation: false, backgroundColor: '#ffffff', ...optionsOf(title, caption, panels, tops) });
    return chart.renderToSVGString();
  } finally {
    chart.dispose();
  }
}

function optionsOf(title: string, caption: string, panels: readonly Panel[], tops: readonly number[]): object {
  const titles = panels.map((panel, index) => ({
    text: panel.title,
    left: 12,
    top: (tops[index] as number) - 22,
    padding: 0,
    textStyle: { fontSize: 13, fontWeight: 'bold', color: COLOURS.ink },
  }));
  const heading = { text: title, subtext: caption, left: 12, top: 14, padding: 0, itemGap: 6 };
  return {
    title: [
      { ...heading, textStyle: { fontSize: 18 }, subtextStyle: { fontSize: 12, color: COLOURS.faint } },
      ...titles,
    ],
    grid: panels.map(({ bars }, index) => ({
      left: LEFT,
      right: RIGHT,
      top: tops[index],
      height: bars.length * BAR_HEIGHT,
      containLabel: false,
    })),
    xAxis: panels.map(({ limit }, gridIndex) => ({ gridIndex, type: 'value', min: 0, max: limit, show: false })),
    yAxis: panels.map(({ bars }, gridIndex) => ({
      gridIndex,
      type: 'category',
      inverse: true,
      data: bars.map(({ subject }) => subject),
      axisTick: { show: false },
      axisLine: { lineStyle: { color: COLOURS.faint } },
      axisLabel: { color: COLOURS.ink, fontSize: 12, width: LEFT - 24, overflow: 'truncate' },
    })),
    series: panels.flatMap(({ bars }, index) => [barSeries(bars, index), whiskerSeries(bars, index)]),
  };
}

function barSeries(bars: readonly Bar[], index: number): object {
  return {
    type: 'bar',
    xAxisIndex: index,
    yAxisIndex: index,
    barWidth: BAR_HEIGHT - 8,
    data: bars.map(bar => ({
      value: bar.median,
      itemStyle: { color: bar.isOurs ? COLOURS.ours : COLOURS.peer },
    })),
  };
}

/** The whisker, and the label behind it or behind the bar, whichever is longer. */
function whiskerSeries(bars: readonly Bar[], index: number): object {
  return {
    type: 'custom',
    xAxisIndex: index,
    yAxisIndex: index,
    z: 3,
    data: bars.map(({ low, high }, at) => [high, at, low]),
    renderItem: (_params: unknown, api: PlotApi) => {
      const [high, at, low] = [api.value(0), api.value(1), api.value(2)];
      const [right, y] = api.coord([high, at]);
      const [left] = api.coord([low, at]);
      const line = (x1: number, y1: number, x2: number, y2: number): object => ({
        type: 'line',
        shape: { x1, y1, x2, y2 },
        style: { stroke: COLOURS.ink, lineWidth: 1 },
      });
      const ends = [left, right].map(x => line(x, y - WHISKER_HALF, x, y + WHISKER_HALF));
      const label = {
        type: 'text',
        style: {
          text: bars[at]?.label ?? '',
          x: right + 8,
          y,
          verticalAlign: 'middle',
          fill: COLOURS.ink,
          fontSize: 12,
        },
      };
      return { type: 'group', children: low === high ? [label] : [line(left, y, right, y), ...ends, label] };
    },
  };
}

/** Of echarts' custom series, as far as it is used. */
type PlotApi = { value(dimension: number): number; coord(point: readonly number[]): [number, number] };
