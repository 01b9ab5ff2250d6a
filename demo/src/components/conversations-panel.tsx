// The conversations that this browser keeps: to open again, to find, to name, to delete, to take along.
import { useSignal } from '@preact/signals';
import { openConversation } from '../chat';
import { conversations, listConversations, messages, title } from '../conversation';
import { titleOf } from '../conversation-store';
import { ConversationRow } from './conversation-row';
import { ListIcon } from './icons';
import { TransferButtons } from './transfer-buttons';

const panelId = 'conversations-panel';

export function ConversationsButton() {
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
  const wanted = useSignal('');
  const asked = useSignal(''); // the one that is deleted by another click
  const words = wanted.value.toLowerCase().split(/\s+/);
  const found = conversations.value.filter((one) => words.every((word) => one.words.includes(word)));
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
      onBeforeToggle={() => (asked.value = '')}
      onToggle={() => void listConversations()}
    >
      <h2>Conversations</h2>
      {messages.value.length > 0 && <TitleField />}
      {conversations.value.length > 1 && (
        <input
          type="search"
          aria-label="Search conversations"
          placeholder="Search what was said"
          value={wanted.value}
          onInput={(event) => (wanted.value = event.currentTarget.value)}
        />
      )}
      {conversations.value.length > 0 && found.length === 0 && <p class="note">No conversation matches.</p>}
      <ul class="past">
        {found.map((one) => (
          <ConversationRow key={one.id} summary={one} asked={asked} open={open} />
        ))}
      </ul>
      <TransferButtons any={conversations.value.length > 0} />
    </section>
  );
}

function TitleField() {
  const own = titleOf({ title: '', messages: messages.value });
  return (
    <label class="field">
      <span class="field-name">Title of this conversation</span>
      <input
        type="text"
        maxLength={200}
        value={title.value}
        placeholder={own}
        onInput={(event) => (title.value = event.currentTarget.value)}
        onChange={() => setTimeout(() => void listConversations(), 400)}
      />
    </label>
  );
}
