// The cache in a browser: the folder `pronk` of the Origin Private File System. https://fs.spec.whatwg.org
// Entries are read and written in a worker, where synchronous handles exist; the page's thread lists and deletes.
import type { CacheFolder, EntryFile, EntryFiles } from './cache.js';
import { pause } from './pause.js';

interface SyncHandle {
  read(into: Uint8Array, options: { at: number }): number;
  write(bytes: Uint8Array, options: { at: number }): number;
  truncate(size: number): void;
  flush(): void;
  close(): void;
}

// What TypeScript's library of the page's thread lacks.
interface FileHandle extends FileSystemFileHandle {
  createSyncAccessHandle?(options?: { mode: 'read-only' | 'readwrite' }): Promise<SyncHandle>;
}

const infoName = 'entry.json';

/** null: this browser has none, or not here. */
export async function openOpfs(): Promise<CacheFolder | null> {
  try {
    const root = await navigator.storage.getDirectory();
    return new OpfsFolder(await root.getDirectoryHandle('pronk', { create: true }));
  } catch {
    return null; // no secure context, a private window, an old browser
  }
}

class OpfsFolder implements CacheFolder {
  readonly evicts = true;
  private clock: Promise<boolean> | null = null;

  constructor(private readonly root: FileSystemDirectoryHandle) {}

  async keys(): Promise<string[]> {
    const keys: string[] = [];
    for await (const [name, handle] of this.root.entries()) if (handle.kind === 'directory') keys.push(name);
    return keys;
  }

  async readInfo(key: string): Promise<string | null> {
    const file = await this.file(key, infoName, false);
    return file && (await (await file.getFile()).text());
  }

  async writeInfo(key: string, text: string): Promise<void> {
    await replaceText((await this.file(key, infoName, true))!, text);
  }

  async readText(name: string): Promise<string | null> {
    try {
      return await (await (await this.root.getFileHandle(name)).getFile()).text();
    } catch {
      return null;
    }
  }

  async writeText(name: string, text: string): Promise<void> {
    await replaceText(await this.root.getFileHandle(name, { create: true }), text);
  }

  async open(key: string, write: boolean): Promise<EntryFiles | null> {
    const data = await this.file(key, 'data', write);
    const hashes = await this.file(key, 'hashes', write);
    if (!data || !hashes) return null;
    const mode = write ? 'readwrite' : 'read-only';
    const handle = await openSync(data, mode);
    if (handle) {
      const other = await openSync(hashes, mode);
      if (other) return openFiles(handle, other);
      handle.close();
    }
    if (write) return null;
    // Another tab has it for itself; what it has written can be read all the same.
    const [bytes, sums] = [new SnapshotFile(await data.getFile()), new SnapshotFile(await hashes.getFile())];
    return { data: bytes, hashes: sums, close: async () => {} };
  }

  async modified(key: string): Promise<number | null> {
    const file = await this.file(key, 'data', false);
    if (!file || !(await (this.clock ??= this.tellsTime()))) return null;
    return (await file.getFile()).lastModified;
  }

  /** Whether files tell when they were written: in private windows of Chromium it is always when they were made. */
  private async tellsTime(): Promise<boolean> {
    const name = 'clock';
    const file = await this.root.getFileHandle(name, { create: true });
    const times: number[] = [];
    for (const text of ['1', '2']) {
      const stream = await file.createWritable({ keepExistingData: true });
      await stream.write(text);
      await stream.close();
      times.push((await file.getFile()).lastModified);
      await pause(20);
    }
    await this.root.removeEntry(name);
    return times[1]! > times[0]!;
  }

  async remove(key: string): Promise<boolean> {
    try {
      await this.root.removeEntry(key, { recursive: true });
      return true;
    } catch (error) {
      if (isNamed(error, 'NotFoundError')) return true;
      if (isNamed(error, 'NoModificationAllowedError', 'InvalidStateError')) return false;
      throw error;
    }
  }

  async room(): Promise<number> {
    const { quota, usage } = await navigator.storage.estimate();
    return quota === undefined ? Infinity : quota - (usage ?? 0);
  }

  private async file(key: string, name: string, create: boolean): Promise<FileSystemFileHandle | null> {
    try {
      return await (await this.root.getDirectoryHandle(key, { create })).getFileHandle(name, { create });
    } catch (error) {
      if (!create && isNamed(error, 'NotFoundError')) return null;
      throw error;
    }
  }
}

async function replaceText(file: FileSystemFileHandle, text: string): Promise<void> {
  if ('createWritable' in file) {
    const stream = await file.createWritable();
    await stream.write(text);
    return stream.close();
  }
  // Safari before 26, in a worker. A crash may leave a part of it, which counts as no entry.
  const handle = await (file as FileHandle).createSyncAccessHandle!();
  try {
    handle.truncate(0);
    writeAll(handle, 0, new TextEncoder().encode(text));
    handle.flush();
  } finally {
    handle.close();
  }
}

// null: it is in use. Browsers that do not know the mode give a handle for one alone.
async function openSync(file: FileHandle, mode: 'read-only' | 'readwrite'): Promise<SyncHandle | null> {
  if (!file.createSyncAccessHandle) return null;
  try {
    return await file.createSyncAccessHandle({ mode });
  } catch (error) {
    if (isNamed(error, 'NoModificationAllowedError', 'InvalidStateError')) return null;
    throw error;
  }
}

function openFiles(data: SyncHandle, hashes: SyncHandle): EntryFiles {
  return {
    data: new SyncFile(data),
    hashes: new SyncFile(hashes),
    close: async () => {
      data.close();
      hashes.close();
    },
  };
}

class SyncFile implements EntryFile {
  constructor(private readonly handle: SyncHandle) {}

  async read(at: number, into: Uint8Array): Promise<number> {
    return this.handle.read(into, { at });
  }

  async write(at: number, bytes: Uint8Array): Promise<void> {
    writeAll(this.handle, at, bytes);
  }

  async truncate(size: number): Promise<void> {
    this.handle.truncate(size);
  }

  async flush(): Promise<void> {
    this.handle.flush();
  }
}

class SnapshotFile implements EntryFile {
  constructor(private readonly blob: Blob) {}

  async read(at: number, into: Uint8Array): Promise<number> {
    const bytes = new Uint8Array(await this.blob.slice(at, at + into.length).arrayBuffer());
    into.set(bytes);
    return bytes.length;
  }

  async write(): Promise<void> {
    throw new Error('only to be read');
  }

  async truncate(): Promise<void> {
    throw new Error('only to be read');
  }

  async flush(): Promise<void> {}
}

function writeAll(handle: SyncHandle, at: number, bytes: Uint8Array): void {
  const count = handle.write(bytes, { at });
  if (count !== bytes.length) throw new DOMException('the storage is full', 'QuotaExceededError');
}

function isNamed(error: unknown, ...names: string[]): boolean {
  return names.includes((error as { name?: string }).name ?? '');
}
