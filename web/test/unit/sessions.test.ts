// Which states are where: sessions over a host that only counts tokens.
import { describe, expect, it } from 'vitest';
import { bytesOfSession, type SavedSession, savedTokens, sessionOfBytes } from '../../src/runtime/saved-session.js';
import { Sessions } from '../../src/runtime/sessions.js';
import { Turns } from '../../src/worker/turns.js';
import { withResolvers } from '../support/with-resolvers.js';

function savedOf(tokens: readonly number[]): SavedSession {
  const head = new Uint32Array([0, 0, 0, 0, 0, 0, tokens.length, 0, ...tokens]);
  return { head: new Uint8Array(head.buffer), body: [Uint8Array.from(tokens)] };
}

class Host {
  tokens: readonly number[] = [];
  readonly calls: string[] = [];

  async save(): Promise<SavedSession> {
    this.calls.push(`save ${this.tokens.length}`);
    return savedOf(this.tokens);
  }
  async restore(saved: SavedSession): Promise<void> {
    this.tokens = [...savedTokens(saved)];
    this.calls.push(`restore ${this.tokens.length}`);
  }
}

const text = (seed: number, length: number): number[] => Array.from({ length }, (_, i) => seed * 1000 + i);

async function run(sessions: Sessions, host: Host, session: number, prompt: number[]): Promise<void> {
  await sessions.enter(host, session, prompt);
  host.tokens = [...prompt, 7];
  sessions.leave(host.tokens);
}

describe('sessions', () => {
  it('moves nothing while there is one', async () => {
    const [sessions, host] = [new Sessions(), new Host()];
    await run(sessions, host, 0, text(1, 100));
    await run(sessions, host, 0, text(2, 100));
    expect(host.calls).toEqual([]);
    expect(sessions.keptBytes).toBe(0);
  });

  it('keeps the states of one when another comes, and puts them back for its next turn', async () => {
    const [sessions, host] = [new Sessions(), new Host()];
    await run(sessions, host, 1, text(1, 100));
    await run(sessions, host, 2, text(2, 50));
    expect(host.calls).toEqual(['save 101']);
    expect(sessions.keptBytes).toBe(4 * (8 + 101) + 101);
    await run(sessions, host, 1, text(1, 120));
    expect(host.calls).toEqual(['save 101', 'save 51', 'restore 101']);
  });

  it('goes on from the states of whichever begins most alike, where that is worth it', async () => {
    const [sessions, host] = [new Sessions(), new Host()];
    await run(sessions, host, 1, text(1, 100));
    await run(sessions, host, 2, text(1, 80)); // what is there serves
    expect(host.calls).toEqual(['save 101']);
    await run(sessions, host, 3, text(3, 60));
    host.calls.length = 0;
    await run(sessions, host, 4, text(1, 95)); // a copy of session 1
    expect(host.calls).toEqual(['save 61', 'restore 101']);
    await run(sessions, host, 5, [...text(3, 10), 1]); // ten tokens are not worth it
    expect(host.calls).toEqual(['save 61', 'restore 101', 'save 96']);
    await run(sessions, host, 1, text(1, 100)); // its own are still there
    expect(host.calls.slice(3)).toEqual(['save 12', 'restore 101']);
  });

  it('saves a session wherever its states are, and forgets one that is closed', async () => {
    const [sessions, host] = [new Sessions(), new Host()];
    expect(await sessions.save(host, 0)).toBeNull();
    await run(sessions, host, 1, text(1, 40));
    await run(sessions, host, 2, text(2, 30));
    expect(savedTokens((await sessions.save(host, 1))!)).toHaveLength(41);
    expect(savedTokens((await sessions.save(host, 2))!)).toHaveLength(31);
    sessions.close(1);
    expect(await sessions.save(host, 1)).toBeNull();
    expect(sessions.keptBytes).toBe(0);
    sessions.close(2);
    host.calls.length = 0;
    await run(sessions, host, 3, text(2, 60)); // what a closed one has left is good, and not kept
    expect(host.calls).toEqual([]);
  });

  it('counts nothing as computed on a new host, but what was kept', async () => {
    const [sessions, lost, host] = [new Sessions(), new Host(), new Host()];
    await run(sessions, lost, 1, text(1, 40));
    await run(sessions, lost, 2, text(2, 40));
    await run(sessions, host, 2, text(2, 50));
    await run(sessions, host, 1, text(1, 50));
    expect(host.calls).toEqual(['save 51', 'restore 41']);
  });
});

describe('a saved session', () => {
  const bytes = bytesOfSession(savedOf(text(1, 20)));

  it('is the same again', () => {
    expect(bytesOfSession(sessionOfBytes(bytes))).toEqual(bytes);
    expect([...savedTokens(sessionOfBytes(bytes))]).toEqual(text(1, 20));
  });

  it('is an error of one line where it is cut, changed or something else', () => {
    for (let end = 0; end < bytes.length; end += 5) expect(() => sessionOfBytes(bytes.subarray(0, end))).toThrow();
    for (let at = 0; at < bytes.length; at++) {
      const changed = bytes.slice();
      changed[at]! ^= 1;
      expect(() => sessionOfBytes(changed), `byte ${at}`).toThrow(/^the (saved session is damaged|bytes are not)/);
    }
  });
});

describe('turns', () => {
  const never = new AbortController().signal;

  it('go round the sessions, and within one in the order of the calls', async () => {
    const turns = new Turns();
    const order: string[] = [];
    const job = (name: string) => async () => {
      order.push(name);
    };
    const gate = withResolvers();
    const all = [turns.run(1, never, () => gate.promise)];
    for (const name of ['1a', '1b', '1c', '2a', '2b', '3a']) all.push(turns.run(Number(name[0]), never, job(name)));
    gate.resolve();
    await Promise.all(all);
    expect(order).toEqual(['1a', '2a', '3a', '1b', '2b', '1c']);
  });

  it('are left at once by what is aborted, and go on after what fails', async () => {
    const turns = new Turns();
    const gate = withResolvers();
    const first = turns.run(1, never, () => gate.promise);
    const abort = new AbortController();
    const waiting = turns.run(1, abort.signal, async () => abort.signal.aborted);
    const failing = turns.run(2, never, async () => Promise.reject(new Error('failed')));
    const last = turns.run(2, never, async () => 'last');
    abort.abort();
    expect(await waiting).toBe(true); // while the first still runs
    gate.resolve();
    await first;
    await expect(failing).rejects.toThrow('failed');
    expect(await last).toBe('last');
  });
});
