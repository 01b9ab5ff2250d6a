// The cache in Node: a plain folder, with the layout of cache.ts. A file `lock` in an entry holds the id of the process
// that writes it.
import {
  type FileHandle,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  statfs,
  unlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { CacheFolder, EntryFile, EntryFiles } from './cache.js';

const lockName = 'lock';
const lockPatience = 10 * 60_000; // milliseconds after which a lock that nobody touched is nobody's
const keyPattern = /^[0-9a-f]{32}$/;

/** $XDG_CACHE_HOME/pronk, else ~/.cache/pronk. */
export function defaultCacheFolder(): string {
  const base = process.env['XDG_CACHE_HOME'];
  return join(base?.startsWith('/') ? base : join(homedir(), '.cache'), 'pronk');
}

/** The operations that tests make fail. */
export interface FolderSystem {
  open: typeof open;
  room(path: string): Promise<number>;
}

const realSystem: FolderSystem = {
  open,
  async room(path) {
    const { bavail, bsize } = await statfs(path);
    return bavail * bsize;
  },
};

let written = 0;
const lockedHere = new Set<string>(); // entries that this process writes

export class PlainFolder implements CacheFolder {
  readonly evicts = false; // a person's disk; they look after it

  constructor(
    readonly root: string,
    private readonly system: FolderSystem = realSystem,
  ) {}

  async keys(): Promise<string[]> {
    const names = await readdir(this.root).catch(orMissing);
    return (names ?? []).filter((name) => keyPattern.test(name));
  }

  async readInfo(key: string): Promise<string | null> {
    return (await readFile(join(this.root, key, 'entry.json'), 'utf8').catch(orMissing)) ?? null;
  }

  async writeInfo(key: string, text: string): Promise<void> {
    const path = join(this.root, key, 'entry.json');
    const fresh = `${path}.${process.pid}.${++written}`;
    await writeFile(fresh, text);
    await rename(fresh, path);
    if (lockedHere.has(join(this.root, key))) {
      const now = new Date();
      await utimes(join(this.root, key, lockName), now, now).catch(() => {});
    }
  }

  async open(key: string, write: boolean): Promise<EntryFiles | null> {
    const entry = join(this.root, key);
    if (!write)
      return this.openFiles(entry, 'r', async () => {})
        .catch(orMissing)
        .then((files) => files ?? null);
    await mkdir(entry, { recursive: true });
    const unlock = await lock(entry);
    if (!unlock) return null;
    try {
      for (const name of ['data', 'hashes']) await (await this.system.open(join(entry, name), 'a')).close();
      return await this.openFiles(entry, 'r+', unlock);
    } catch (error) {
      await unlock();
      throw error;
    }
  }

  async modified(key: string): Promise<number | null> {
    const info = await stat(join(this.root, key, 'data')).catch(orMissing);
    return info ? info.mtimeMs : null;
  }

  async remove(key: string): Promise<boolean> {
    const entry = join(this.root, key);
    const unlock = await lock(entry).catch(orMissing);
    if (unlock === undefined) return true; // there is no such entry
    if (unlock === null) return false;
    try {
      await rm(entry, { recursive: true, force: true });
    } finally {
      await unlock();
    }
    return true;
  }

  async room(): Promise<number> {
    await mkdir(this.root, { recursive: true });
    return this.system.room(this.root);
  }

  private async openFiles(entry: string, flags: string, unlock: () => Promise<void>): Promise<EntryFiles> {
    const data = await this.system.open(join(entry, 'data'), flags);
    const hashes = await this.system.open(join(entry, 'hashes'), flags).catch(async (error: unknown) => {
      await data.close();
      throw error;
    });
    let closed = false;
    const close = async (): Promise<void> => {
      if (closed) return;
      closed = true;
      await Promise.all([data.close(), hashes.close()]).finally(unlock);
    };
    return { data: new HandleFile(data), hashes: new HandleFile(hashes), close };
  }
}

class HandleFile implements EntryFile {
  constructor(private readonly file: FileHandle) {}

  async read(at: number, into: Uint8Array): Promise<number> {
    let filled = 0;
    while (filled < into.length) {
      const { bytesRead } = await this.file.read(into, filled, into.length - filled, at + filled);
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    return filled;
  }

  async write(at: number, bytes: Uint8Array): Promise<void> {
    for (let done = 0; done < bytes.length; ) {
      const { bytesWritten } = await this.file.write(bytes, done, bytes.length - done, at + done);
      if (bytesWritten === 0) throw Object.assign(new Error('nothing could be written'), { code: 'ENOSPC' });
      done += bytesWritten;
    }
  }

  async truncate(size: number): Promise<void> {
    await this.file.truncate(size);
  }

  async flush(): Promise<void> {
    await this.file.datasync();
  }
}

/** Takes an entry for this caller alone; null: another one has it. */
async function lock(entry: string): Promise<(() => Promise<void>) | null> {
  if (lockedHere.has(entry)) return null;
  const path = join(entry, lockName);
  for (let tries = 0; tries < 2; tries++) {
    lockedHere.add(entry);
    try {
      await writeFile(path, String(process.pid), { flag: 'wx' });
      return async () => {
        lockedHere.delete(entry);
        await unlink(path).catch(() => {});
      };
    } catch (error) {
      lockedHere.delete(entry);
      if ((error as { code?: string }).code !== 'EEXIST') throw error;
      if (await isHeld(path)) return null;
      await unlink(path).catch(() => {});
    }
  }
  return null;
}

async function isHeld(path: string): Promise<boolean> {
  const [text, info] = await Promise.all([readFile(path, 'utf8'), stat(path)]).catch(() => ['', null] as const);
  if (!info || Date.now() - info.mtimeMs > lockPatience) return false;
  const id = Number(text);
  if (!Number.isInteger(id) || id <= 0 || id === process.pid) return text === ''; // '': just being written
  try {
    process.kill(id, 0);
    return true;
  } catch (error) {
    return (error as { code?: string }).code === 'EPERM';
  }
}

/** undefined for what is not there. */
function orMissing(error: unknown): undefined {
  const { code } = error as { code?: string };
  if (code !== 'ENOENT' && code !== 'ENOTDIR') throw error;
}
