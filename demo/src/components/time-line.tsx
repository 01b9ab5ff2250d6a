// When each token of an answer came, as a picture: the prompt first, then a stretch for each token.
import * as format from '../format';
import type { Figures, Message } from '../message';

const width = 1000;

export function TimeLine({ message }: { message: Message }) {
  const times = message.times;
  if (!times || times.length < 3) return null;
  const end = times.at(-1)!;
  const gaps = times.slice(1).map((time, i) => time - times[i]!);
  const mean = (end - times[0]!) / gaps.length;
  const slowest = Math.max(...gaps);
  const x = (time: number): number => (width * time) / end;
  const text = `The prompt${promptText(message.figures)} took ${format.seconds(times[0]!)}; then a token took ${mean.toFixed(1)} ms on average, the slowest ${format.seconds(slowest)}.`;
  return (
    <details class="time-line">
      <summary>Time line</summary>
      <svg viewBox={`0 0 ${width} 40`} preserveAspectRatio="none" role="img" aria-label={text}>
        <rect class="time-prompt" x={0} y={0} width={x(times[0]!)} height={40} />
        {gaps.map((gap, i) => (
          <rect
            key={i}
            class={i % 2 === 0 ? 'time-token' : 'time-token time-odd'}
            x={x(times[i]!)}
            y={0}
            width={x(gap)}
            height={40}
          />
        ))}
      </svg>
      <p class="note">{text}</p>
    </details>
  );
}

function promptText(figures: Figures | null): string {
  if (!figures || figures.prompt === 0) return '';
  const { prompt, reused } = figures;
  const read = reused > 0 ? `, ${format.whole(reused)} of them read before` : '';
  return ` (${format.whole(prompt)} ${prompt === 1 ? 'token' : 'tokens'}${read})`;
}
