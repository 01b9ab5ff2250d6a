// The conversations that this browser keeps, to open again or to delete.
import { useSignal } from '@preact/signals';
import { answering, openConversation } from '../chat';
import { conversations, listConversations, removeConversation } from '../conversation';
import * as format from '../format';
import { CloseIcon, ListIcon } from './icons';

const panelId = 'conversations-panel';

export function ConversationsButton() {
  if (conversations.value.every(({ here }) => here)) return null;
  return (
    <>
      <button
        class="button-quiet"
        type="button"
        title="Conversations"
        aria-label="Conversations"
        popovertarget={panelId}
      >
        <ListIcon />
      </button>
      <ConversationsPanel />
    </>
  );
}

function ConversationsPanel() {
  const busy = answering.value !== 'no';
  const asked = useSignal(''); // the one that is deleted by another click
  const remove = (id: string): void => {
    if (asked.value === id) void removeConversation(id);
    else asked.value = id;
  };
  const open = (id: string): void => {
    document.getElementById(panelId)?.hidePopover();
    void openConversation(id);
  };
  return (
    <section
      id={panelId}
      class="card panel panel-right"
      popover="auto"
      aria-label="Kept conversations"
      onToggle={() => {
        asked.value = '';
        void listConversations();
      }}
    >
      <h2>Conversations</h2>
      <ul class="past">
        {conversations.value.map(({ id, title, updated, elsewhere, here }) => (
          <li key={id}>
            <button class="past-open" type="button" disabled={busy || elsewhere || here} onClick={() => open(id)}>
              <span class="past-title">{title}</span>
              <span class="field-hint">
                {here ? 'open here' : elsewhere ? 'open in another tab' : format.date(updated)}
              </span>
            </button>
            {!here && !elsewhere && (
              <button
                class={asked.value === id ? 'button-small' : 'button-icon'}
                type="button"
                title="Delete"
                aria-label={asked.value === id ? `Delete “${title}” for good` : `Delete “${title}”`}
                onClick={() => remove(id)}
              >
                {asked.value === id ? 'Delete' : <CloseIcon />}
              </button>
            )}
          </li>
        ))}
      </ul>
    </section>
  );
}
