import type { Signal } from '@preact/signals';
import { answering } from '../chat';
import { removeConversation } from '../conversation';
import type { Summary } from '../conversation-store';
import * as format from '../format';
import { CloseIcon } from './icons';

interface Props {
  summary: Summary;
  asked: Signal<string>; // the id of the one that another click deletes
  open(id: string): void;
}

export function ConversationRow({ summary, asked, open }: Props) {
  const { id, title, updated, here, elsewhere } = summary;
  const sure = asked.value === id;
  const remove = (): void => {
    if (sure) void removeConversation(id);
    else asked.value = id;
  };
  return (
    <li>
      <button
        class="past-open"
        type="button"
        disabled={answering.value !== 'no' || elsewhere || here}
        onClick={() => open(id)}
      >
        <span class="past-title">{title}</span>
        <span class="field-hint">{here ? 'open here' : elsewhere ? 'open in another tab' : format.date(updated)}</span>
      </button>
      {!here && !elsewhere && (
        <button
          class={sure ? 'button-small' : 'button-icon'}
          type="button"
          title="Delete"
          aria-label={sure ? `Delete “${title}” for good` : `Delete “${title}”`}
          onClick={remove}
        >
          {sure ? 'Delete' : <CloseIcon />}
        </button>
      )}
    </li>
  );
}
