import { useEffect, useRef } from 'preact/hooks';
import UPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import type { Row } from './measure';

const height = 260;

/** The table beside it says the same to those who cannot see it. */
export function Plot({ rows }: { rows: readonly Row[] }) {
  const room = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const element = room.current;
    if (!element || rows.length < 2) return;
    const plot = new UPlot(
      optionsFor(element),
      [rows.map(({ depth }) => depth), rows.map(({ decode }) => decode)],
      element,
    );
    const watch = new ResizeObserver(() => plot.setSize({ width: element.clientWidth, height }));
    watch.observe(element);
    return () => {
      watch.disconnect();
      plot.destroy();
    };
  }, [rows]);
  return <div class="plot" ref={room} role="img" aria-label="Tokens a second by depth, as in the table" />;
}

function optionsFor(element: HTMLElement): UPlot.Options {
  const style = getComputedStyle(element);
  const axis = { stroke: style.color, grid: { stroke: style.borderColor, width: 1 }, ticks: { show: false } };
  const accent = style.accentColor;
  return {
    width: element.clientWidth,
    height,
    legend: { show: false },
    cursor: { show: false },
    scales: { x: { time: false, distr: 3, log: 2 }, y: { range: (_, _low, high) => [0, high * 1.1] } },
    axes: [
      { ...axis, label: 'tokens in the context' },
      { ...axis, label: 'tokens/s', size: 60 },
    ],
    series: [{}, { label: 'tokens/s', stroke: accent, width: 2, points: { size: 7, fill: accent } }],
  };
}
