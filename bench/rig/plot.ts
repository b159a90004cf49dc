/** A plot as SVG text, drawn by ECharts without a DOM. */
import { LineChart } from 'echarts/charts';
import { GridComponent, LegendComponent, TitleComponent } from 'echarts/components';
import { init, use } from 'echarts/core';
import { SVGRenderer } from 'echarts/renderers';
import type { Axis, Plot, Series, SeriesPoint } from './document.js';
import { numberText } from './tables.js';

use([LineChart, GridComponent, LegendComponent, TitleComponent, SVGRenderer]);

const WIDTH_PX = 860;
const HEIGHT_PX = 440;
/** Told apart by people who see few colours as well (Okabe and Ito, Color Universal Design). */
const COLOURS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#000000'];
/** What ends a line in the middle of a series. */
const GAP = '-';

/** Each series is a line through its medians, with a bar from the least to the most of each point's runs. */
export function plotSvg(plot: Plot): string {
  const chart = init(null, null, { renderer: 'svg', ssr: true, width: WIDTH_PX, height: HEIGHT_PX });
  try {
    chart.setOption({
      animation: false,
      color: COLOURS,
      title: { text: plot.title, left: 'center', textStyle: { fontSize: 15 } },
      legend: { bottom: 0, selectedMode: false, itemGap: 24, data: plot.series.map(({ name }) => name) },
      grid: { left: 90, right: 30, top: 45, bottom: 80 },
      xAxis: axisOption(
        plot.x,
        30,
        plot.series.flatMap(({ points }) => points.map(({ x }) => x)),
      ),
      yAxis: axisOption(plot.y, 65),
      series: plot.series.flatMap((series, i) => seriesOptions(plot, series, COLOURS[i % COLOURS.length]!)),
    });
    // In a page of HTML, SVG needs no namespaces; and the styles are for a pointer that no script follows.
    return chart
      .renderToSVGString()
      .replace(/ xmlns(:\w+)?="[^"]*"/g, '')
      .replace(/<style.*?<\/style>/gs, '')
      .replace(/ class="zr[^"]*"/g, '');
  } finally {
    chart.dispose();
  }
}

/** Logarithmic axes have a mark at each power of ten, or of two where all values are some. */
function axisOption({ label, scale }: Axis, nameGap: number, values: readonly number[] = []): object {
  const isBinary = values.length > 0 && values.every((value) => Number.isInteger(Math.log2(value)));
  return {
    name: label,
    nameLocation: 'middle',
    nameGap,
    type: scale === 'log' ? 'log' : 'value',
    logBase: isBinary ? 2 : 10,
    axisLabel: { formatter: numberText },
  };
}

function seriesOptions(plot: Plot, { name, points }: Series, color: string): object[] {
  const drawn = points.filter((point) => isDrawable(plot, point)).sort((a, b) => a.x - b.x);
  const bars = drawn.flatMap(({ x, min, max }) =>
    min === null || max === null || min === max || (plot.y.scale === 'log' && min <= 0)
      ? []
      : [[x, min], [x, max], GAP],
  );
  const line = {
    type: 'line',
    color,
    symbol: 'circle',
    symbolSize: 6,
    lineStyle: { width: 2 },
    silent: true,
  };
  return [
    { ...line, name, data: drawn.map(({ x, y }) => [x, y]) },
    { ...line, data: bars, symbol: 'none', lineStyle: { width: 1.2 } },
  ];
}

/** A logarithmic axis has no place for zero. */
function isDrawable({ x, y }: Plot, point: SeriesPoint): boolean {
  return (x.scale === 'linear' || point.x > 0) && (y.scale === 'linear' || point.y > 0);
}
