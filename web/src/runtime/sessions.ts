// The conversations of an engine, which has states for one: that of the others is kept in the host's memory, and put back
// when their turn comes. A prompt goes on from whichever of them begins most like it.
import { type SavedSession, savedTokens } from './saved-session.js';

/** Where states are computed: EngineHost. */
export interface StateHost {
  save(): Promise<SavedSession>;
  restore(saved: SavedSession): Promise<void>;
}

const worthRestoring = 16; // tokens that another session's states must have in common more than those that are there

interface Kept {
  saved: SavedSession;
  tokens: ArrayLike<number>;
}

/** All calls one after another. */
export class Sessions {
  private readonly kept = new Map<number, Kept>();
  private host: StateHost | null = null; // whose states are meant
  private resident: number | null = 0; // the session that they are of; null: of one that is closed
  private tokens: ArrayLike<number> = []; // that they stand after, or of a prompt that they had to

  /** Bytes of states that wait in the host's memory. */
  get keptBytes(): number {
    let bytes = 0;
    for (const { saved } of this.kept.values()) {
      bytes += saved.head.length;
      for (const part of saved.body) bytes += part.length;
    }
    return bytes;
  }

  /** Before a prompt of this session. When this fails the states are of none. */
  async enter(host: StateHost, session: number, prompt: ArrayLike<number>): Promise<void> {
    this.meet(host);
    const best = this.bestFor(session, prompt);
    if (session !== this.resident) await this.keepResident(host);
    if (best) await host.restore(best.saved);
    this.kept.delete(session);
    this.resident = session;
    this.tokens = prompt;
  }

  /** After it: all of its tokens. */
  leave(tokens: ArrayLike<number>): void {
    this.tokens = tokens;
  }

  /** What the session has computed; null when that is nothing. */
  async save(host: StateHost, session: number): Promise<SavedSession | null> {
    this.meet(host);
    if (session !== this.resident) return this.kept.get(session)?.saved ?? null;
    return this.tokens.length > 0 ? host.save() : null;
  }

  /** A new session goes on from what was saved; an error when that is not for this model. */
  async open(host: StateHost, session: number, saved: SavedSession): Promise<void> {
    this.meet(host);
    await this.keepResident(host);
    await host.restore(saved);
    this.resident = session;
    this.tokens = savedTokens(saved);
  }

  close(session: number): void {
    this.kept.delete(session);
    if (this.resident === session) this.resident = null;
  }

  /** A new host has no states. */
  private meet(host: StateHost): void {
    if (this.host !== host) this.tokens = [];
    this.host = host;
  }

  /** What is worth putting back; null: the states that are there serve best. */
  private bestFor(session: number, prompt: ArrayLike<number>): Kept | null {
    const own = this.kept.get(session) ?? null;
    const there = commonLength(this.tokens, prompt);
    let best = own;
    let most = own ? commonLength(own.tokens, prompt) : 0;
    for (const kept of this.kept.values()) {
      const length = commonLength(kept.tokens, prompt);
      if (length >= most + worthRestoring) [best, most] = [kept, length];
    }
    return best && most >= there + worthRestoring ? best : null;
  }

  private async keepResident(host: StateHost): Promise<void> {
    if (this.resident === null || this.tokens.length === 0) return;
    const saved = await host.save();
    this.kept.set(this.resident, { saved, tokens: savedTokens(saved) });
  }
}

/** Of what both begin with. */
export function commonLength(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const most = Math.min(a.length, b.length);
  let length = 0;
  while (length < most && a[length] === b[length]) length++;
  return length;
}
