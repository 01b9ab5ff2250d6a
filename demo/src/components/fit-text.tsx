import type { Plan } from 'pronk';
import * as format from '../format';

/** Whether a model fits this device, as far as that is known. */
export function FitText({ known }: { known: 'asking' | Plan | Error | undefined }) {
  if (known === undefined) return null;
  return (
    <span class="fit" role="status">
      {textOf(known)}
    </span>
  );
}

function textOf(known: 'asking' | Plan | Error): string {
  if (known === 'asking') return 'Reading the beginning of its file …';
  if (known instanceof Error) return `Not known: ${known.message}`;
  const where = known.device === 'webgpu' ? 'GPU' : 'CPU';
  if (!known.fits) return `Does not fit: ${known.refusal}`;
  return `Fits this device: ${format.bytes(known.memory.total)} on the ${where}, ${format.whole(known.contextLength)} tokens of context`;
}
