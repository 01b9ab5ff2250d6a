// The cache in Node: a plain folder, with the layout of cache.ts. An entry that is written has a file `lock`, see
// cache-lock.ts.
import {
  type FileHandle,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  rmdir,
  stat,
  statfs,
  writeFile,
} from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { CacheFolder, EntryFile, EntryFiles } from './cache.js';
import { type EntryLock, takeLock } from './cache-lock.js';

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
const lockedHere = new Map<string, EntryLock>(); // entries that this process writes

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
    const lock = lockedHere.get(join(this.root, key));
    if (lock && !(await lock.held())) throw new Error('another program has taken the entry over');
    await this.replace(join(this.root, key, 'entry.json'), text);
  }

  async readText(name: string): Promise<string | null> {
    return readFile(join(this.root, name), 'utf8').catch(() => null);
  }

  async writeText(name: string, text: string): Promise<void> {
    await mkdir(this.root, { recursive: true });
    await this.replace(join(this.root, name), text);
  }

  private async replace(path: string, text: string): Promise<void> {
    const fresh = `${path}.${process.pid}.${++written}`;
    await writeFile(fresh, text);
    await rename(fresh, path);
  }

  async open(key: string, write: boolean): Promise<EntryFiles | null> {
    const entry = join(this.root, key);
    if (!write)
      return this.openFiles(entry, 'r', async () => {})
        .catch(orMissing)
        .then((files) => files ?? null);
    const unlock = await lock(entry, true);
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
    const unlock = await lock(entry, false).catch(orMissing);
    if (unlock === undefined) return true; // there is no such entry
    if (unlock === null) return false;
    try {
      for (const name of await readdir(entry)) {
        if (!name.startsWith('lock')) await rm(join(entry, name), { recursive: true, force: true });
      }
    } finally {
      await unlock();
    }
    await rmdir(entry).catch(() => {}); // another one may have begun it anew
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
async function lock(entry: string, make: boolean): Promise<(() => Promise<void>) | null> {
  for (let attempt = 1; ; attempt++) {
    if (make) await mkdir(entry, { recursive: true });
    try {
      const taken = await takeLock(entry);
      if (!taken) return null;
      lockedHere.set(entry, taken);
      return async () => {
        lockedHere.delete(entry);
        await taken.release();
      };
    } catch (error) {
      // Another one may remove the entry just when it is made.
      if (!make || attempt === 10 || (error as { code?: string }).code !== 'ENOENT') throw error;
    }
  }
}

/** undefined for what is not there. */
function orMissing(error: unknown): undefined {
  const { code } = error as { code?: string };
  if (code !== 'ENOENT' && code !== 'ENOTDIR') throw error;
}
