// ‹ 2/3 ›: the way to the other messages that stand in the same place.
import { answering } from '../chat';
import { showBranch, tree } from '../conversation';
import type { Message } from '../message';
import { branchesAt } from '../tree';
import { NextIcon, PreviousIcon } from './icons';

export function Branches({ message, of }: { message: Message; of: 'answer' | 'message' }) {
  const all = branchesAt(tree.value.all, message);
  if (all.length < 2) return null;
  const at = all.findIndex(({ id }) => id === message.id);
  const busy = answering.value !== 'no';
  const step = (label: string, to: Message | undefined, Icon: typeof NextIcon) => (
    <button
      class="button-icon"
      type="button"
      title={label}
      aria-label={label}
      disabled={busy || !to}
      onClick={() => to && showBranch(to.id)}
    >
      <Icon />
    </button>
  );
  return (
    <span class="branches">
      {step(`Previous ${of}`, all[at - 1], PreviousIcon)}
      <span class="branch-count">
        {at + 1}/{all.length}
      </span>
      {step(`Next ${of}`, all[at + 1], NextIcon)}
    </span>
  );
}
