// What the model has computed of the conversations that were answered last: a session of the engine for each.
import { signal } from '@preact/signals';
import { type Pronk, PronkError, type Session } from 'pronk';

const most = 4; // conversations

const waiting = signal<{ of: Pronk | null; bytes: number }>({ of: null, bytes: 0 });

/** Bytes of those that wait in memory for their turn. */
export const waitingBytes = (engine: Pronk): number => (waiting.value.of === engine ? waiting.value.bytes : 0);

let owner: Pronk | null = null;
const sessions = new Map<string, Session>(); // by conversation, the one used last at the end

/** Where a conversation is answered; without room for a session that is the engine itself. */
export async function sessionOf(engine: Pronk, conversation: string): Promise<Session | Pronk> {
  if (owner !== engine) sessions.clear(); // they ended with their engine
  owner = engine;
  const session = sessions.get(conversation) ?? (await openSession(engine));
  if (session === null) return engine;
  sessions.delete(conversation);
  sessions.set(conversation, session);
  return session;
}

async function openSession(engine: Pronk): Promise<Session | null> {
  if (sessions.size >= most) await closeOldest();
  for (;;) {
    try {
      return await engine.session();
    } catch (error) {
      if (!(error instanceof PronkError && error.code === 'out-of-memory')) throw error;
      if (!(await closeOldest())) return null;
    }
  }
}

async function closeOldest(): Promise<boolean> {
  const [oldest] = sessions.keys();
  if (oldest === undefined) return false;
  await closeSession(oldest);
  return true;
}

/** Gives back the memory of one that is gone. */
export async function closeSession(conversation: string): Promise<void> {
  const session = sessions.get(conversation);
  sessions.delete(conversation);
  await session?.close().catch(() => {}); // the engine may have ended
  if (owner) await countWaiting(owner);
}

export async function countWaiting(engine: Pronk): Promise<void> {
  const stats = await engine.stats().catch(() => null);
  waiting.value = { of: engine, bytes: stats?.sessionBytes ?? 0 };
}
