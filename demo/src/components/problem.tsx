import { useEffect, useRef } from 'preact/hooks';
import { lastChoice, model, reload } from '../model';
import { notice, problem } from '../problems';
import { CloseIcon } from './icons';

export function ProblemBox() {
  const box = useRef<HTMLDivElement>(null);
  const shown = problem.value;
  useEffect(() => box.current?.scrollIntoView({ block: 'nearest' }), [shown]);
  if (!shown) return null;
  return (
    <div class="problem" role="alert" ref={box}>
      <div class="problem-text">
        <strong>{shown.title}</strong>
        <p>{shown.detail}</p>
        {shown.hint && <p class="problem-hint">{shown.hint}</p>}
        {shown.retry && lastChoice.value && model.value.at === 'none' && (
          <button class="button" type="button" onClick={() => void reload()}>
            Try again
          </button>
        )}
      </div>
      <button class="button-icon" type="button" aria-label="Dismiss" onClick={() => (problem.value = null)}>
        <CloseIcon />
      </button>
    </div>
  );
}

export function NoticeBox() {
  if (notice.value === null) return null;
  return (
    <div class="notice" role="status">
      <p>{notice.value}</p>
      <button class="button-icon" type="button" aria-label="Dismiss the notice" onClick={() => (notice.value = null)}>
        <CloseIcon />
      </button>
    </div>
  );
}
