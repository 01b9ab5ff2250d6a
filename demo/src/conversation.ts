// The conversation that is open in this tab, and how it comes and goes.
import { batch, computed, effect, signal } from '@preact/signals';
import * as store from './conversation-store';
import type { Message } from './message';
import { ownSampling } from './sampling';
import { closeSession } from './sessions';
import { endOf, pathTo } from './tree';

/** All messages with their branches, and the end of the branch that is shown. */
export const tree = signal<{ all: Message[]; end: number | null }>({ all: [], end: null });
/** The messages of the branch that is shown. */
export const messages = computed(() => pathTo(tree.value.all, tree.value.end));
export const draft = signal('');
/** Given by the person; empty: the first message is its title. */
export const title = signal('');
/** Whether what this tab had open is there again. */
export const restored = signal(false);
/** All conversations of this browser that have a message, the newest first. */
export const conversations = signal<store.Summary[]>([]);

let current = store.emptyConversation(); // as it was saved last
let saving: number | undefined;

export const conversationId = (): string => current.id;

/** Adds a message behind the last that is shown; gives its id. */
export function add(message: Omit<Message, 'id' | 'parent'>): number {
  const { all, end } = tree.value;
  const id = (all.at(-1)?.id ?? 0) + 1;
  tree.value = { all: [...all, { ...message, id, parent: end }], end: id };
  return id;
}

export function replace(id: number, part: Partial<Message>): void {
  const { all, end } = tree.value;
  tree.value = { all: all.map((message) => (message.id === id ? { ...message, ...part } : message)), end };
}

/** Takes a message that nothing follows away again. */
export function takeBack(id: number): void {
  const { all, end } = tree.value;
  const parent = all.find((message) => message.id === id)?.parent ?? null;
  tree.value = { all: all.filter((message) => message.id !== id), end: end === id ? parent : end };
}

/** Shows the branch that ends with a message: what is added then begins another. */
export function showUpTo(end: number | null): void {
  tree.value = { ...tree.value, end };
}

/** Shows the branch that a message begins, to its newest answer. */
export function showBranch(id: number): void {
  showUpTo(endOf(tree.value.all, id));
}

const now = () => ({
  messages: tree.value.all,
  end: tree.value.end,
  draft: draft.value,
  title: title.value,
  sampling: ownSampling.value,
});

function isChanged(): boolean {
  const is = now();
  return (Object.keys(is) as (keyof typeof is)[]).some((key) => is[key] !== current[key]);
}

/** Brings back what this tab had open, and keeps it from then on. */
export async function restoreConversation(): Promise<void> {
  show(await store.restore());
  restored.value = true;
  effect(() => {
    if (isChanged()) saving ??= window.setTimeout(save, 300);
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
    tree.value = { all: conversation.messages, end: conversation.end };
    draft.value = conversation.draft;
    title.value = conversation.title;
    ownSampling.value = conversation.sampling;
  });
}

function save(): void {
  clearTimeout(saving);
  saving = undefined;
  if (!isChanged()) return;
  current = { id: current.id, updated: Date.now(), ...now() };
  store.save(current);
}

/** Puts this one away and begins another, to which the draft comes along. At once: who types or sends goes on in the new one. */
export async function beginConversation(): Promise<void> {
  const written = draft.value;
  draft.value = '';
  save();
  const begun = store.emptyConversation();
  show(begun);
  draft.value = written;
  await store.openNew(begun);
  await listConversations();
}

/** Opens a kept one and, when `ready`, puts this one away; false, and nothing happens, where that is not to be had. */
export async function reopenConversation(id: string, ready: () => Promise<void>): Promise<boolean> {
  if (id === current.id) return true;
  save();
  const found = await store.openKept(id);
  if (found) {
    await ready();
    save(); // what was said meanwhile
    show(found);
  }
  await listConversations();
  return found !== null;
}

export async function removeConversation(id: string): Promise<void> {
  await store.remove(id);
  void closeSession(id);
  await listConversations();
}

/** All that are kept, as they are now. */
export async function allConversations(): Promise<store.Conversation[]> {
  save();
  return store.all();
}

export async function keepConversations(all: readonly store.Conversation[]): Promise<void> {
  await store.add(all);
  await listConversations();
}
