import type { LoadProgress } from 'pronk';
import * as format from '../format';

export function Progress({ progress }: { progress: LoadProgress | null }) {
  if (progress?.phase !== 'weights') {
    const text = progress?.phase === 'prepare' ? 'Preparing the device …' : 'Opening …';
    return (
      <div class="progress">
        <div class="bar bar-unknown" role="progressbar" aria-label={text} />
        <p class="progress-text">{text}</p>
      </div>
    );
  }
  const { loadedBytes, totalBytes, bytesPerSecond = 0, secondsLeft, fromCache } = progress;
  const share = totalBytes > 0 ? loadedBytes / totalBytes : 0;
  return (
    <div class="progress">
      <div
        class="bar"
        role="progressbar"
        aria-label="Loading the weights"
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={Math.round(share * 100)}
      >
        <span style={{ transform: `scaleX(${share})` }} />
      </div>
      <p class="progress-text">
        {format.bytes(loadedBytes)} of {format.bytes(totalBytes)}
        {bytesPerSecond > 0 && ` · ${format.bytes(bytesPerSecond)}/s`}
        {secondsLeft != null && ` · ${format.duration(secondsLeft)} left`}
        {fromCache ? ` · ${format.bytes(fromCache)} from the cache` : ''}
      </p>
    </div>
  );
}
