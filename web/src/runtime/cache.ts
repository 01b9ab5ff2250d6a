// The cache of model files: what an entry is, and the operations on entries that need no model. The same layout in a
// browser's OPFS (cache-opfs.ts) and in a plain folder (cache-folder.ts), where the command line uses it too.
//
// An entry is a directory named by the first 32 hex digits of SHA-256(URL):
//   data        the file from byte 0 on
//   hashes      SHA-256 of each part of 4 MiB of the first `have` bytes of data, raw; the last part may be shorter
//   entry.json  EntryInfo; what is beyond its `have` is not there
// A whole entry is checked by its hashes once, and again whenever `data` has been written since.
// `data` and `hashes` are flushed before `have` moves on, so that no crash leaves an entry that promises too much.
import { PronkError } from './errors.js';
import { chooseGguf } from './gguf-choice.js';
import { sha256, toHex } from './hash.js';
import { isWeightFolder } from './hub.js';
import type { TextStore } from './kernel-tuning.js';
import { decoded, fileName, splitSiblings } from './source.js';

export const cachePart = 4 << 20;
export const hashBytes = 32;

export interface EntryInfo {
  version: 1;
  url: string;
  etag: string | null; // or Last-Modified, or null
  size: number; // of the whole file
  sha256: string | null; // of the whole file in hex, when its source told it
  have: number; // bytes from 0 on that are there
  complete: boolean;
  pinned: boolean;
  used: number; // milliseconds since 1970
  checked?: number; // modified() of data when all its parts were found to be right
}

/** A file of an entry. Errors are thrown as the platform gives them. */
export interface EntryFile {
  /** Gives how many bytes there were. */
  read(at: number, into: Uint8Array): Promise<number>;
  /** All of them, or an error. */
  write(at: number, bytes: Uint8Array): Promise<void>;
  truncate(size: number): Promise<void>;
  flush(): Promise<void>;
}

export interface EntryFiles {
  data: EntryFile;
  hashes: EntryFile;
  close(): Promise<void>;
}

/** Where entries live. */
export interface CacheFolder extends TextStore {
  keys(): Promise<string[]>;
  /** The text of entry.json; null: there is none. */
  readInfo(key: string): Promise<string | null>;
  /** Old or new after a crash, never a part of it. */
  writeInfo(key: string, text: string): Promise<void>;
  /** To write: for this caller alone, made if missing. null: another one has it, or there is nothing to read. */
  open(key: string, write: boolean): Promise<EntryFiles | null>;
  /** When `data` was last written, in milliseconds since 1970; null: unknown. */
  modified(key: string): Promise<number | null>;
  /** false: it is in use. */
  remove(key: string): Promise<boolean>;
  /** Bytes that may be written; Infinity where that is not known. */
  room(): Promise<number>;
  /** Whether entries used long ago make room for new ones. */
  readonly evicts: boolean;
}

/** What is kept of a model file. */
export interface CacheEntry {
  url: string;
  name: string;
  /** Bytes that are here. */
  bytes: number;
  /** Bytes of the whole file. */
  size: number;
  complete: boolean;
  /** Only deleted by name. */
  pinned: boolean;
  usedAt: Date;
}

export async function keyOf(url: string): Promise<string> {
  return toHex(await sha256(new TextEncoder().encode(url))).slice(0, 32);
}

const isSize = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
const isText = (value: unknown): value is string | null => value === null || typeof value === 'string';

export function parseInfo(text: string | null): EntryInfo | null {
  if (text === null || text.length > 1 << 16) return null;
  let info: Partial<EntryInfo> | null;
  try {
    info = JSON.parse(text) as Partial<EntryInfo> | null;
  } catch {
    return null;
  }
  if (info === null || typeof info !== 'object' || info.version !== 1 || typeof info.url !== 'string') return null;
  if (!isSize(info.size) || !isSize(info.have) || info.have > info.size) return null;
  if (typeof info.complete !== 'boolean' || (info.complete && info.have !== info.size)) return null;
  if (!isText(info.etag) || !isText(info.sha256) || typeof info.pinned !== 'boolean' || !isSize(info.used)) return null;
  return info as EntryInfo;
}

export async function readEntry(folder: CacheFolder, key: string, url: string): Promise<EntryInfo | null> {
  const info = parseInfo(await folder.readInfo(key));
  return info?.url === url ? info : null;
}

export function writeEntry(folder: CacheFolder, key: string, info: EntryInfo): Promise<void> {
  return folder.writeInfo(key, `${JSON.stringify(info)}\n`);
}

/**
 * Deletes complete entries, unpinned, those used longest ago first, until `wanted` bytes more are free. Where that cannot
 * be done: none, and false.
 */
export async function freeSpace(folder: CacheFolder, wanted: number, except: string): Promise<boolean> {
  if (!folder.evicts) return false;
  const candidates: { key: string; info: EntryInfo }[] = [];
  for (const key of await folder.keys()) {
    const info = parseInfo(await folder.readInfo(key));
    if (info?.complete && !info.pinned && key !== except) candidates.push({ key, info });
  }
  if (candidates.reduce((sum, { info }) => sum + info.size, 0) < wanted) return false;
  candidates.sort((a, b) => a.info.used - b.info.used);
  let freed = 0;
  for (const { key, info } of candidates) {
    if (freed >= wanted) break;
    if (await folder.remove(key)) freed += info.size;
  }
  return freed >= wanted;
}

/** Whether there is room for so many bytes, as far as the platform tells; if need be with freeSpace(). */
export async function makeRoom(folder: CacheFolder, wanted: number, except: string): Promise<boolean> {
  const missing = wanted - (await folder.room());
  return missing <= 0 || freeSpace(folder, missing, except);
}

/** What is kept below an address that ends with a slash: keys, and paths behind the address. */
export async function keptBelow(folder: CacheFolder | null, address: string): Promise<{ key: string; path: string }[]> {
  const found: { key: string; path: string }[] = [];
  for (const key of (await folder?.keys()) ?? []) {
    const info = parseInfo(await folder!.readInfo(key));
    if (info?.url.startsWith(address)) found.push({ key, path: decoded(info.url.slice(address.length)) });
  }
  return found;
}

/** The cache as a person looks at it. */
export class ModelCache {
  /** folder: null where this browser has no place for it; address: of a name as load() takes it. */
  constructor(
    private readonly folder: () => Promise<CacheFolder | null>,
    private readonly address: (name: string) => string,
  ) {}

  /** All entries, the last used first. */
  async list(): Promise<CacheEntry[]> {
    const folder = await this.folder();
    const entries: CacheEntry[] = [];
    for (const key of (await folder?.keys()) ?? []) {
      const info = parseInfo(await folder!.readInfo(key));
      if (!info) continue;
      const { url, have, size, complete, pinned, used } = info;
      entries.push({ url, name: fileName(url), bytes: have, size, complete, pinned, usedAt: new Date(used) });
    }
    return entries.sort((a, b) => b.usedAt.getTime() - a.usedAt.getTime());
  }

  /** Bytes of all entries. */
  async size(): Promise<number> {
    return (await this.list()).reduce((sum, entry) => sum + entry.bytes, 0);
  }

  /**
   * Whether there was such an entry; of a folder (an address that ends with a slash) its files, or the GGUF model in it
   * that load() would take. A model that is being loaded cannot be deleted: an error 'cache'.
   */
  async delete(url: string | URL): Promise<boolean> {
    const folder = await this.folder();
    if (!folder) return false;
    const removed = [];
    for (const key of await this.keysOf(folder, url)) removed.push(await folder.remove(key));
    if (!removed.includes(false)) return removed.length > 0;
    throw new PronkError('cache', `${fileName(this.address(String(url)))} is being loaded and cannot be deleted now`);
  }

  /** Deletes all that is not pinned. What is being loaded stays, and makes it an error 'cache'. */
  async clear(): Promise<void> {
    const folder = await this.folder();
    let busy = 0;
    for (const key of (await folder?.keys()) ?? []) {
      if (parseInfo(await folder!.readInfo(key))?.pinned) continue;
      if (!(await folder!.remove(key))) busy++;
    }
    if (busy > 0) throw new PronkError('cache', `${busy} of the cached files are being loaded and were not deleted`);
  }

  /** A pinned file (or those of a folder) is only deleted by delete(), never to make room. false: there is no such entry. */
  async pin(url: string | URL, pinned = true): Promise<boolean> {
    const folder = await this.folder();
    let found = false;
    for (const key of folder ? await this.keysOf(folder, url) : []) {
      const info = parseInfo(await folder!.readInfo(key));
      if (!info) continue;
      await writeEntry(folder!, key, { ...info, pinned });
      found = true;
    }
    return found;
  }

  /** Of the entry with that address, or of all files of the model in that folder; a GGUF model may be one of several. */
  private async keysOf(folder: CacheFolder, url: string | URL): Promise<string[]> {
    const named = this.address(String(url));
    const [, address = named, type = ''] = /^(.*\/)#(.*)$/.exec(named) ?? [];
    if (!address.endsWith('/')) {
      const key = await keyOf(address);
      return (await folder.keys()).filter((each) => each === key);
    }
    const kept = await keptBelow(folder, address);
    const paths = kept.map(({ path }) => path);
    const choice = type !== '' || (!isWeightFolder(paths) && paths.some((path) => path.endsWith('.gguf')));
    const files = choice && paths.length > 0 ? splitSiblings(chooseGguf(String(url), paths, type)) : null;
    const isOne = (path: string): boolean => files?.includes(path) ?? /^(\d_\w+\/)?[^/]*$/.test(path);
    return kept.filter(({ path }) => isOne(path)).map(({ key }) => key);
  }
}
