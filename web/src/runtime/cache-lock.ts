// Who may write a cache entry in a plain folder: the file `lock`, taken and honoured by the command line too. The
// protocol that both follow is written down in cli/cache_lock.h.
import { randomBytes } from 'node:crypto';
import { link, open, rename, unlink, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';

const patience = 10 * 60_000; // milliseconds after which a lock that nobody touched is dead
const defaultBeat = 10_000; // milliseconds between two touches
const mostAttempts = 100; // each but the last was thwarted by somebody else's step forward

export interface EntryLock {
  /** false: this process stood still for so long that another one has taken the entry over. */
  held(): Promise<boolean>;
  release(): Promise<void>;
}

/** null: another one has the entry, in this process or elsewhere. An error where the folder is missing. */
export async function takeLock(folder: string, beat = defaultBeat): Promise<EntryLock | null> {
  const token = randomBytes(16).toString('hex');
  const path = `${folder}/lock`;
  const line = `${path}.${token}.new`;
  await writeFile(line, `${process.pid} ${hostname()} ${token}\n`, { flag: 'wx' });
  try {
    if (!(await takeWith(folder, line))) return null;
  } finally {
    await unlink(line).catch(() => {});
  }
  const held = async (): Promise<boolean> => (await readNote(path))?.token === token;
  const touch = async (): Promise<void> => {
    const now = new Date();
    if (await held()) await utimes(path, now, now);
  };
  const timer = setInterval(() => void touch().catch(() => {}), beat);
  timer.unref();
  const release = async (): Promise<void> => {
    clearInterval(timer);
    if (await held()) await unlink(path).catch(() => {});
  };
  return { held, release };
}

interface Note {
  process: number;
  host: string;
  token: string;
  touched: number;
}

async function readNote(path: string): Promise<Note | null> {
  const file = await open(path).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return null;
    throw error;
  });
  if (!file) return null;
  try {
    const { mtimeMs } = await file.stat();
    const match = /^([1-9]\d*) (\S+) ([0-9a-f]{32})\n?$/.exec(await file.readFile('utf8'));
    if (!match) return { process: 0, host: '', token: '0', touched: mtimeMs };
    return { process: Number(match[1]), host: match[2]!, token: match[3]!, touched: mtimeMs };
  } finally {
    await file.close();
  }
}

function isDead({ process: id, host, touched }: Note): boolean {
  if (Math.abs(Date.now() - touched) > patience) return true; // also after a clock was set back
  if (id === 0 || host !== hostname()) return false;
  try {
    process.kill(id, 0);
    return false;
  } catch (error) {
    return codeOf(error) === 'ESRCH';
  }
}

interface Link {
  path: string;
  token: string;
}

/** The lock, if it is dead the claim to it, and so on: the last one counts. */
async function readChain(folder: string): Promise<{ links: Link[]; dead: boolean }> {
  const links: Link[] = [];
  for (let path = `${folder}/lock`; ; path = `${folder}/lock.${links.at(-1)!.token}`) {
    const note = await readNote(path);
    // Two lines of another form cannot be told apart.
    if (!note || note.token === links.at(-1)?.token) return { links, dead: true };
    links.push({ path, token: note.token });
    if (!isDead(note)) return { links, dead: false };
  }
}

/** Makes the file `line` the lock; false: there is one that is not dead. */
async function takeWith(folder: string, line: string): Promise<boolean> {
  const lock = `${folder}/lock`;
  for (let attempt = 0; attempt < mostAttempts; attempt++) {
    if (await linked(line, lock)) return true;
    const { links, dead } = await readChain(folder);
    if (links.length === 0) continue; // given back meanwhile
    if (!dead) return false;
    const claim = `${folder}/lock.${links.at(-1)!.token}`;
    if (!(await linked(line, claim))) continue;
    const now = (await readChain(folder)).links;
    const same = links.every(({ token }, i) => now[i]?.token === token);
    if (same && now.length === links.length + 1 && now.at(-1)!.path === claim) {
      await rename(claim, lock);
      for (const { path } of links.slice(1)) await unlink(path).catch(() => {});
      return true;
    }
    await unlink(claim).catch(() => {});
  }
  return false;
}

/** Whether the new name could be given; false: there is a file of that name. */
async function linked(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    throw error;
  }
}

function codeOf(error: unknown): string | undefined {
  return (error as { code?: string }).code;
}
