// The conversation that is open in this tab, and how it comes and goes.
import { batch, effect, signal } from '@preact/signals';
import * as store from './conversation-store';
import type { Message } from './message';

export const messages = signal<Message[]>([]);
export const draft = signal('');
/** Whether what this tab had open is there again. */
export const restored = signal(false);
/** All conversations of this browser that have a message, the newest first. */
export const conversations = signal<store.Summary[]>([]);

let current = store.emptyConversation(); // as it was saved last
let saving: number | undefined;

export const conversationId = (): string => current.id;

/** Brings back what this tab had open, and keeps it from then on. */
export async function restoreConversation(): Promise<void> {
  show(await store.restore());
  restored.value = true;
  effect(() => {
    const changed = messages.value !== current.messages || draft.value !== current.draft;
    if (changed) saving ??= window.setTimeout(save, 300);
  });
  addEventListener('pagehide', () => {
    save();
    store.saveLast(current);
  });
  document.addEventListener('visibilitychange', save);
  store.onOtherTab(() => void listConversations());
  await listConversations();
}

export async function listConversations(): Promise<void> {
  conversations.value = await store.list();
}

function show(conversation: store.Conversation): void {
  current = conversation;
  batch(() => {
    messages.value = conversation.messages;
    draft.value = conversation.draft;
  });
}

function save(): void {
  clearTimeout(saving);
  saving = undefined;
  if (messages.value === current.messages && draft.value === current.draft) return;
  current = { id: current.id, updated: Date.now(), messages: messages.value, draft: draft.value };
  store.save(current);
}

/** Puts this one away and begins another, to which the draft comes along. */
export async function beginConversation(): Promise<void> {
  const written = draft.value;
  draft.value = '';
  save();
  show(await store.openNew(store.emptyConversation()));
  draft.value = written;
  await listConversations();
}

/** Puts this one away and opens a kept one; false, and nothing happens, where that is not to be had. */
export async function reopenConversation(id: string): Promise<boolean> {
  save();
  const found = await store.openKept(id);
  if (found) show(found);
  await listConversations();
  return found !== null;
}

export async function removeConversation(id: string): Promise<void> {
  await store.remove(id);
  await listConversations();
}
