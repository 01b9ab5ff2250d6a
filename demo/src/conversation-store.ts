// The conversations that this browser keeps: a record each in IndexedDB, so that tabs do not write over each other's. A
// conversation is open in one tab at a time, which holds its lock; a tab that wants one in use gets a copy (a duplicated
// tab) or an empty one (a new tab).
import { type DBSchema, type IDBPDatabase, type IDBPObjectStore, openDB } from 'idb';
import { acceptMessages, type Message } from './message';
import { acceptOwn } from './sampling';
import type { Sampling } from './settings';
import { readLocal, version } from './storage';

export interface Conversation {
  id: string;
  updated: number; // milliseconds since 1970
  title: string; // given by the person, or empty
  messages: Message[]; // with all branches
  end: number | null; // of the branch that is shown
  draft: string; // what is written and not sent
  sampling: Partial<Sampling>; // its own
}

export interface Summary {
  id: string;
  title: string;
  words: string; // all that was said, in small letters
  updated: number;
  here: boolean; // open in this tab
  elsewhere: boolean; // open in another one
}

interface Schema extends DBSchema {
  conversations: { key: string; value: Conversation & { version: number }; indexes: { updated: number } };
}

const databaseName = 'pronk-page';
const tabKey = 'pronk.conversation-id'; // in sessionStorage: which one is open in this tab
const unsavedPrefix = 'pronk.unsaved.'; // in localStorage, with the id behind it
const reloadMs = 2000; // time that a tab's page before a reload may take to let go of its lock

let database: IDBPDatabase<Schema> | null = null;
let claimed = ''; // the id of the one open in this tab
let release: (() => void) | null = null; // lets go of its lock
let pending = 0; // writes that are not finished
const channel = 'BroadcastChannel' in globalThis ? new BroadcastChannel('pronk.conversations') : null;

// crypto.randomUUID is missing where a page is served without TLS from another machine.
const newId = (): string => Date.now().toString(36) + Math.random().toString(36).slice(2);

export function emptyConversation(draft = ''): Conversation {
  return { id: newId(), updated: Date.now(), title: '', messages: [], end: null, draft, sampling: {} };
}

/** A good conversation of what was found (anything), or null. */
export function accept(found: unknown): Conversation | null {
  if (typeof found !== 'object' || found === null) return null;
  const {
    id,
    updated,
    messages,
    end,
    title,
    draft,
    sampling,
    version: of,
  } = found as Conversation & { version: number };
  if (of !== version || typeof id !== 'string') return null;
  return {
    id,
    updated: Number.isFinite(updated) ? updated : 0,
    title: typeof title === 'string' ? title.slice(0, 200) : '',
    ...acceptMessages(messages, end),
    draft: typeof draft === 'string' ? draft : '',
    sampling: acceptOwn(sampling),
  };
}

/** Opens what this tab had open, else the last conversation, else an empty one. Never fails: storage may be forbidden. */
export async function restore(): Promise<Conversation> {
  try {
    database = await openDB<Schema>(databaseName, 1, {
      upgrade(made) {
        made.createObjectStore('conversations', { keyPath: 'id' }).createIndex('updated', 'updated');
      },
      blocking: () => database?.close(),
      terminated: () => (database = null),
    });
    await moveOldConversation(database);
    await moveUnsaved(database);
    return await reopened(database);
  } catch (error) {
    console.warn('conversations are not kept:', error);
    return openNew(emptyConversation());
  }
}

async function reopened(db: IDBPDatabase<Schema>): Promise<Conversation> {
  const own = sessionStorage.getItem(tabKey);
  if (own !== null) {
    const free = await claim(own, reloadMs);
    const found = accept(await db.get('conversations', own));
    if (!found) return openNew(emptyConversation());
    if (free) return found;
    const copy = await openNew({ ...found, id: newId() });
    save(copy);
    return copy;
  }
  const newest = await db.transaction('conversations').store.index('updated').openKeyCursor(null, 'prev');
  return (newest && (await openKept(newest.primaryKey))) ?? openNew(emptyConversation());
}

/** Makes a conversation that is nowhere else this tab's. */
export async function openNew(conversation: Conversation): Promise<Conversation> {
  await claim(conversation.id);
  rememberInTab(conversation.id);
  return conversation;
}

/** A kept one as this tab's; null when another tab has it or it is gone. */
export async function openKept(id: string): Promise<Conversation | null> {
  if (!database || !(await claim(id))) return null;
  rememberInTab(id);
  return accept(await database.get('conversations', id));
}

function rememberInTab(id: string): void {
  try {
    sessionStorage.setItem(tabKey, id);
  } catch {
    // forbidden: a reload then opens the last conversation
  }
}

// Missing where the page is served without TLS from another machine.
const lockManager = (): LockManager | undefined => navigator.locks;
const lockOf = (id: string): string => `pronk.conversation.${id}`;

/** Takes a conversation's lock and lets go of the one before; false when another tab still has it after `waitMs`. */
function claim(id: string, waitMs = 0): Promise<boolean> {
  const locks = lockManager();
  if (id === claimed || !locks) return Promise.resolve(true);
  const options = waitMs > 0 ? { signal: AbortSignal.timeout(waitMs) } : { ifAvailable: true };
  return new Promise((resolve) => {
    const held = locks.request(lockOf(id), options, (lock) => {
      if (!lock) return resolve(false);
      release?.();
      return new Promise<void>((free) => {
        release = free;
        claimed = id;
        resolve(true);
      });
    });
    held.catch(() => resolve(false));
  });
}

/** Keeps a conversation as it is now; one that is empty is forgotten. */
export function save(conversation: Conversation): void {
  if (!database) return;
  try {
    const writing = database.transaction('conversations', 'readwrite');
    const done = put(writing.store, conversation);
    pending++;
    Promise.all([done, writing.done])
      .then(tell, notKept)
      .finally(() => pending--);
  } catch (error) {
    notKept(error); // the connection is closing
  }
}

/** As the page goes: the database may not finish a write then. localStorage does, and restore() moves it. */
export function saveLast(conversation: Conversation): void {
  if (pending === 0) return;
  try {
    localStorage.setItem(unsavedPrefix + conversation.id, JSON.stringify({ version, ...conversation }));
  } catch {
    // full or forbidden
  }
}

type Store = IDBPObjectStore<Schema, ['conversations'], 'conversations', 'readwrite'>;

function put(store: Store, conversation: Conversation): Promise<unknown> {
  const { id, messages, draft, sampling } = conversation;
  const empty = messages.length === 0 && draft === '' && Object.keys(sampling).length === 0;
  return empty ? store.delete(id) : store.put({ version, ...conversation });
}

async function moveUnsaved(db: IDBPDatabase<Schema>): Promise<void> {
  for (const name of Object.keys(localStorage).filter((key) => key.startsWith(unsavedPrefix))) {
    const unsaved = accept(readLocal(name));
    const { store, done } = db.transaction('conversations', 'readwrite');
    if (unsaved && unsaved.updated >= (accept(await store.get(unsaved.id))?.updated ?? 0)) await put(store, unsaved);
    await done;
    localStorage.removeItem(name);
  }
}

const notKept = (error: unknown): void => console.warn('the conversation is not kept:', error);
const tell = (): void => channel?.postMessage('changed');

/** Calls when another tab has written or removed a conversation. */
export function onOtherTab(changed: () => void): void {
  channel?.addEventListener('message', changed);
}

export async function remove(id: string): Promise<void> {
  await database?.delete('conversations', id);
  tell();
}

/** Keeps conversations beside those that are there; each gets an id of its own. */
export async function add(conversations: readonly Conversation[]): Promise<void> {
  if (!database) throw new Error('This browser keeps no conversations for this page.');
  const { store, done } = database.transaction('conversations', 'readwrite');
  for (const one of conversations) void put(store, { ...one, id: newId() });
  await done;
  tell();
}

/** All that have a message, the newest first. */
export async function all(): Promise<Conversation[]> {
  const found = ((await database?.getAllFromIndex('conversations', 'updated')) ?? []).map(accept).reverse();
  return found.filter((one) => one !== null && one.messages.length > 0) as Conversation[];
}

export const titleOf = ({ title, messages }: Pick<Conversation, 'title' | 'messages'>): string =>
  title || (messages[0]?.text.slice(0, 120) ?? '');

/** The newest first. */
export async function list(): Promise<Summary[]> {
  const found = await all();
  const held = (await lockManager()?.query())?.held ?? [];
  const names = new Set(held.map(({ name }) => name));
  return found.map((one) => {
    const { id, updated, messages } = one;
    const here = id === claimed;
    const title = titleOf(one);
    const words = [title, ...messages.map(({ text }) => text)].join('\n').toLowerCase();
    return { id, title, words, updated, here, elsewhere: !here && names.has(lockOf(id)) };
  });
}

/** Forgets all conversations. */
export async function clear(): Promise<void> {
  sessionStorage.removeItem(tabKey);
  database?.close();
  await new Promise<void>((resolve) => {
    const request = indexedDB.deleteDatabase(databaseName);
    request.onsuccess = request.onerror = request.onblocked = () => resolve();
  });
}

// Before there was a database, localStorage held one conversation. `add` leaves alone what another tab has moved already.
async function moveOldConversation(db: IDBPDatabase<Schema>): Promise<void> {
  const old = acceptMessages(readLocal('pronk.conversation'));
  const draft = readLocal('pronk.draft');
  if (old.messages.length > 0) {
    const moved = { ...emptyConversation(typeof draft === 'string' ? draft : ''), id: 'from-local-storage', ...old };
    await db.add('conversations', { version, ...moved }).catch(() => {});
  }
  localStorage.removeItem('pronk.conversation');
  localStorage.removeItem('pronk.draft');
}
