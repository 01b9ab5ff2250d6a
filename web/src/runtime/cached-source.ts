// A file over HTTP that is kept in the cache as it is read, and read from there as far as it is there.
import {
  type CacheFolder,
  cachePart,
  type EntryFiles,
  type EntryInfo,
  keyOf,
  makeRoom,
  readEntry,
  writeEntry,
} from './cache.js';
import { EntryReader, EntryWriter, mendPart, type ReadPart } from './cache-entry.js';
import { messageOf, PronkError, throwIfAborted } from './errors.js';
import type { RunningHash } from './hash.js';
import { type HttpOptions, type Probe, UrlSource } from './http-source.js';
import { hubFile, hubHash, isFixed } from './hub.js';
import { type ByteSource, fileName } from './source.js';
import type { FileSpec } from './types.js';

export interface CacheHooks {
  /** null: there is no place for a cache here. */
  folder(): Promise<CacheFolder | null>;
  /** What the address names can never change: a whole entry is used without asking the server. */
  fixed?: boolean;
  /** SHA-256 of the whole file in hex, when its source tells it. */
  knownHash?: () => Promise<string | null>;
  startHash(): RunningHash;
  /** It is read with gaps that are read later: what fills them is fetched at once, and comes from the cache then. */
  byTurns?: boolean;
}

/** The source of a URL, with the cache where the spec wants it. */
export function cachedUrl(
  spec: FileSpec & { kind: 'url' },
  hooks: Pick<CacheHooks, 'folder' | 'startHash'>,
  http: HttpOptions = {},
): ByteSource {
  const options = spec.longRequests ? { ...longRequests, ...http } : http;
  if (!spec.cache) return new UrlSource(spec.url, options);
  const file = hubFile(spec.url, spec.hub);
  const { sha256 } = spec;
  return new CachedSource(spec.url, new UrlSource(spec.url, { ...options, browserCache: false }), {
    ...hooks,
    fixed: isFixed(file),
    byTurns: spec.longRequests === true,
    ...(sha256 === undefined
      ? file && { knownHash: () => hubHash(file, http.fetch) }
      : sha256 !== null && { knownHash: async () => sha256 }),
  });
}

const longRequests: HttpOptions = { connections: 1, partBytes: 256 << 20 };
const smallGap = 16 << 20; // bytes between what is kept and what is asked for that are read to close it; by turns any
const smallTail = 1 << 20; // bytes behind the last one asked for that are read to make an entry whole

interface Checksum {
  hash: RunningHash;
  position: number;
  known: Promise<string | null>;
}

export class CachedSource implements ByteSource {
  readonly name: string;
  fromCache = 0;
  note = '';
  private key = '';
  private folder: CacheFolder | null = null;
  private files: EntryFiles | null = null; // of the reader, and of the writer where there was an entry
  private reader: EntryReader | null = null;
  private writer: EntryWriter | null = null;
  private checksum: Checksum | null = null;
  private opened: Promise<void> | null = null;
  private knownSize = -1;
  private offline = false;
  private whole: { entry: EntryInfo; written: number | null } | null = null; // the entry as it was found, if complete
  private finished = false; // the last byte has been dealt with
  private failed = false;

  constructor(
    private readonly url: string,
    private readonly http: UrlSource,
    private readonly hooks: CacheHooks,
  ) {
    this.name = fileName(url);
  }

  get size(): number {
    return this.knownSize >= 0 ? this.knownSize : this.http.size;
  }

  get kept(): 'whole' | 'read' | undefined {
    if (this.whole && this.reader) return 'whole';
    return this.hooks.byTurns && this.writer?.failure === '' ? 'read' : undefined;
  }

  async read(offset: number, most: number, end: number, signal?: AbortSignal): Promise<Uint8Array> {
    throwIfAborted(signal);
    await (this.opened ??= this.open(signal));
    if (this.size >= 0 && offset >= this.size) return new Uint8Array(0);
    try {
      if (this.reader && offset < this.reader.end) return await this.readCached(offset, most, signal);
      return await this.readNetwork(offset, most, end, signal);
    } catch (error) {
      this.failed = true;
      if (this.http.changed) await this.discard();
      else await this.writer?.save();
      throw error;
    }
  }

  async close(): Promise<void> {
    await this.http.close();
    await this.opened?.catch(() => {});
    await this.reader?.release();
    if (this.reader && this.whole) await this.markUsed(this.whole.entry, this.whole.written);
    // The first bytes of a file that somebody only looked at are not worth an entry.
    if (this.writer?.started || this.failed) await this.writer?.save();
    await this.writer?.close();
    await this.files?.close().catch(() => {});
    this.reader = this.writer = this.files = null;
  }

  private async markUsed(found: EntryInfo, written: number | null): Promise<void> {
    const checked = this.reader!.checkedAll && written !== null ? { checked: written } : {};
    const pinned = (await readEntry(this.folder!, this.key, this.url))?.pinned; // it may have been pinned meanwhile
    if (pinned === undefined) return; // or deleted
    await writeEntry(this.folder!, this.key, { ...found, ...checked, pinned }).catch(() => {});
  }

  // --- opening -------------------------------------------------------------------------------------------------------

  private async open(signal?: AbortSignal): Promise<void> {
    try {
      this.folder = await this.hooks.folder();
      if (!this.folder) {
        this.note = 'this browser gives no place to keep it: it is fetched again each time';
        return;
      }
      this.key = await keyOf(this.url);
      const entry = await this.validEntry(this.folder, signal);
      if (entry?.complete) return await this.openWhole(this.folder, entry);
      if (entry && entry.have > 0) await this.openPart(this.folder, entry);
      if (!this.writer) this.writer = new EntryWriter(this.folder, this.key, this.newInfo(), null);
      this.startChecksum();
    } catch (error) {
      throwIfAborted(signal);
      await this.giveUp(`the cache cannot be used: ${messageOf(error)}`);
    }
  }

  /** The entry, if the file on the server is still that file or cannot be asked after. */
  private async validEntry(folder: CacheFolder, signal?: AbortSignal): Promise<EntryInfo | null> {
    const entry = await readEntry(folder, this.key, this.url);
    if (!entry || (entry.complete && this.hooks.fixed)) return entry;
    const now = await this.http.probe(signal);
    this.offline = now === 'offline';
    return now === null || now === 'offline' || sameFile(entry, now) ? entry : null;
  }

  private async openWhole(folder: CacheFolder, entry: EntryInfo): Promise<void> {
    this.finished = true;
    const files = await folder.open(this.key, false);
    if (!files) return; // deleted meanwhile
    const written = await folder.modified(this.key).catch(() => null);
    this.whole = { entry: { ...entry, used: Date.now() }, written };
    this.useEntry(entry, files, entry.size, written !== null && written === entry.checked);
  }

  private async openPart(folder: CacheFolder, entry: EntryInfo): Promise<void> {
    const files = await folder.open(this.key, true);
    if (!files) {
      this.note = 'another load is writing this file to the cache';
      this.writer = new EntryWriter(folder, this.key, entry, null);
      await this.writer.close();
      return;
    }
    // What another one wrote before we had the lock counts too.
    const latest = (await readEntry(folder, this.key, this.url)) ?? entry;
    this.writer = await EntryWriter.resume(folder, this.key, latest, files);
    this.useEntry(latest, files, this.writer.position);
  }

  private useEntry(entry: EntryInfo, files: EntryFiles, end: number, trusted = false): void {
    this.files = files;
    this.knownSize = entry.size;
    this.reader = new EntryReader(files, end, trusted);
    this.http.expect({ size: entry.size, validator: entry.etag });
  }

  private newInfo(): EntryInfo {
    const unknown = { etag: null, size: -1, sha256: null, have: 0, complete: false };
    return { version: 1, url: this.url, ...unknown, pinned: false, used: Date.now() };
  }

  private startChecksum(): void {
    const { knownHash } = this.hooks;
    if (!knownHash || this.offline) return;
    this.checksum = { hash: this.hooks.startHash(), position: 0, known: knownHash() };
  }

  private async giveUp(note: string): Promise<void> {
    this.note = note;
    await this.writer?.close();
    await this.files?.close().catch(() => {});
    this.writer = this.files = this.reader = null;
  }

  // --- reading -------------------------------------------------------------------------------------------------------

  private async readCached(offset: number, most: number, signal?: AbortSignal): Promise<Uint8Array> {
    const part = await this.reader!.part(offset);
    throwIfAborted(signal);
    if (part.state === 'damaged' || part.state === 'unread') await this.mend(part, signal);
    const from = offset - part.index * cachePart;
    const bytes = part.bytes.subarray(from, from + most);
    if (part.state === 'good') this.fromCache += bytes.length;
    this.feed(offset, bytes);
    if (offset + bytes.length === this.size) {
      await this.finish(); // all may have been there without its end having been seen
      await this.reader!.release(); // one file of many: its memory is needed no more
    }
    return bytes;
  }

  /** Gets a part from the server again that could not be read or is damaged, here and in the cache. */
  private async mend({ index, bytes, state }: ReadPart & { index: number }, signal?: AbortSignal): Promise<void> {
    const start = index * cachePart;
    try {
      await this.fetchInto(bytes, start, signal);
    } catch (error) {
      throwIfAborted(signal);
      const why = `${messageOf(error)}; `;
      if (state === 'unread') {
        throw new PronkError('network', `${why}the copy of ${this.name} in the cache cannot be read`, { cause: error });
      }
      await this.discard();
      throw new PronkError('damaged', `${why}the copy of ${this.name} in the cache was damaged and is deleted now`, {
        cause: error,
      });
    }
    const whole = bytes.length === cachePart || start + bytes.length === this.size;
    if (whole) await this.keepMended(index, bytes).catch(() => {}); // else the next load finds it again
    this.reader?.mended(index, bytes);
  }

  private async fetchInto(bytes: Uint8Array, start: number, signal?: AbortSignal): Promise<void> {
    for (let filled = 0; filled < bytes.length; ) {
      const end = start + bytes.length;
      const got = await this.http.read(start + filled, bytes.length - filled, end, signal);
      if (got.length === 0) throw new PronkError('network', `${this.name} ends at byte ${start + filled}`);
      bytes.set(got, filled);
      filled += got.length;
    }
  }

  private async keepMended(index: number, bytes: Uint8Array): Promise<void> {
    if (this.writer) return mendPart(this.files!, index, bytes);
    // Writing wants the entry for itself.
    await this.reader!.release();
    await this.files!.close();
    const writable = await this.folder!.open(this.key, true);
    try {
      if (writable) await mendPart(writable, index, bytes);
    } finally {
      await writable?.close();
      this.files = await this.folder!.open(this.key, false);
      if (this.files) this.reader!.files = this.files;
      else this.reader = null;
    }
  }

  private async readNetwork(offset: number, most: number, end: number, signal?: AbortSignal): Promise<Uint8Array> {
    await this.reader?.release();
    const writer = this.writer?.failure === '' ? this.writer : null;
    const again = writer && this.hooks.byTurns && offset < writer.position;
    const written = again ? await this.readWritten(writer, offset, most) : null;
    let until = end;
    if (writer && offset > writer.position && (this.hooks.byTurns || offset - writer.position <= smallGap)) {
      if (this.hooks.byTurns) until = Math.max(end, this.size);
      await this.readOn(writer.position, offset, until, signal);
    }
    const bytes = written ?? (await this.http.read(offset, most, until, signal));
    if (!written) await this.keep(offset, bytes);
    const next = offset + bytes.length;
    const left = this.size - next;
    if (!writer || next !== writer.position || next < end || left < 0 || left > smallTail) return bytes;
    // The read that made the caller content. What follows must not change its bytes.
    const given = left > 0 ? bytes.slice() : bytes;
    if (left > 0) await this.readOn(next, this.size, this.size, signal);
    return given;
  }

  /** Of what this load has kept; null: it cannot be read. */
  private async readWritten(writer: EntryWriter, offset: number, most: number): Promise<Uint8Array | null> {
    const files = await writer.written();
    const bytes = new Uint8Array(Math.min(most, writer.position - offset));
    const count = await (files?.data.read(offset, bytes).catch(() => 0) ?? 0);
    return count > 0 ? bytes.subarray(0, count) : null;
  }

  /** Reads from `from` to `to` only to keep it. */
  private async readOn(from: number, to: number, end: number, signal?: AbortSignal): Promise<void> {
    for (let at = from; at < to; ) {
      const bytes = await this.http.read(at, to - at, end, signal);
      if (bytes.length === 0) return;
      await this.keep(at, bytes);
      at += bytes.length;
    }
  }

  private async keep(offset: number, bytes: Uint8Array): Promise<void> {
    this.feed(offset, bytes);
    const writer = this.writer;
    if (writer && offset === writer.position) {
      if (offset === 0 && !writer.started) await this.begin(writer);
      await writer.append(bytes);
      if (writer.failure && !this.note) this.note = `this file is not kept in the cache: ${writer.failure}`;
    }
    if (this.size >= 0 && offset + bytes.length === this.size) await this.finish();
  }

  /** The first bytes are here, and with them what the server tells. */
  private async begin(writer: EntryWriter): Promise<void> {
    const { size, validator } = this.http;
    writer.describe(size, validator);
    try {
      if (size < 0) writer.failure = 'the server does not tell its size';
      else if (!(await makeRoom(this.folder!, size, this.key))) writer.failure = 'there is not enough room for it';
    } catch (error) {
      writer.failure = messageOf(error);
    }
  }

  private feed(offset: number, bytes: Uint8Array): void {
    const sum = this.checksum;
    if (!sum || offset > sum.position || offset + bytes.length <= sum.position) return;
    sum.hash.update(bytes.subarray(sum.position - offset));
    sum.position = offset + bytes.length;
  }

  // --- ending --------------------------------------------------------------------------------------------------------

  /** All bytes are there: checks them where a hash is known. */
  private async finish(): Promise<void> {
    if (this.finished) return;
    this.finished = true;
    const { checksum, writer, size } = this;
    const whole = writer !== null && writer.failure === '' && writer.position === size;
    const known = (await checksum?.known) ?? null;
    if (checksum && known !== null) {
      if (checksum.position < size && whole) await this.feedKept(checksum, writer);
      if (checksum.position === size && checksum.hash.digest() !== known) {
        await this.discard();
        throw new PronkError('damaged', `${this.name} is not what its source promises: its SHA-256 is another`);
      }
    }
    if (!whole) return;
    await writer.finish(known);
    if (writer.failure) this.note = `this file is not kept in the cache: ${writer.failure}`;
    await writer.close();
  }

  // Bytes that were not given out in order, from where they are kept.
  private async feedKept(checksum: Checksum, writer: EntryWriter): Promise<void> {
    const files = await writer.written();
    const part = new Uint8Array(cachePart);
    while (files && checksum.position < writer.position) {
      const count = await files.data.read(checksum.position, part);
      if (count === 0) return;
      this.feed(checksum.position, part.subarray(0, count));
    }
  }

  async discard(): Promise<void> {
    await this.reader?.release();
    await this.writer?.close();
    await this.files?.close().catch(() => {});
    this.reader = this.writer = this.files = null;
    await this.folder?.remove(this.key).catch(() => {});
  }
}

function sameFile(entry: EntryInfo, now: Probe): boolean {
  if (now.size >= 0 && now.size !== entry.size) return false;
  return now.validator === null || entry.etag === null || now.validator === entry.etag;
}
