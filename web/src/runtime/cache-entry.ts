// Reading and writing the bytes of one cache entry.
import {
  type CacheFolder,
  cachePart,
  type EntryFiles,
  type EntryInfo,
  freeSpace,
  hashBytes,
  readEntry,
  writeEntry,
} from './cache.js';
import { messageOf } from './errors.js';
import { equalBytes, sha256 } from './hash.js';

const writeBytes = 1 << 20; // OPFS takes these faster than larger ones
const partsAhead = 2; // read and hashed before they are asked for
const saveBytes = 16 << 20; // entry.json is written again after so many bytes,
const saveInterval = 1000; // or milliseconds

function lengthOfPart(index: number, end: number): number {
  return Math.min(cachePart, end - index * cachePart);
}

type PartState = 'good' | 'mended' | 'damaged' | 'unread';

/** Reads a part into `into`. damaged: it is too short, or not what its hash promises. */
async function readPart(files: EntryFiles, index: number, into: Uint8Array, check = true): Promise<PartState> {
  if (!check) {
    const count = await files.data.read(index * cachePart, into).catch(() => -1);
    return count === into.length ? 'good' : count < 0 ? 'unread' : 'damaged';
  }
  const expected = new Uint8Array(hashBytes);
  try {
    const [count, hash] = await Promise.all([
      files.data.read(index * cachePart, into),
      files.hashes.read(index * hashBytes, expected),
    ]);
    const good = count === into.length && hash === hashBytes && equalBytes(await sha256(into), expected);
    return good ? 'good' : 'damaged';
  } catch {
    return 'unread';
  }
}

/** Writes a part and its hash. */
async function writePart(files: EntryFiles, index: number, bytes: Uint8Array): Promise<void> {
  const hash = sha256(bytes);
  hash.catch(() => {}); // awaited below, if the data can be written
  for (let at = 0; at < bytes.length; at += writeBytes) {
    await files.data.write(index * cachePart + at, bytes.subarray(at, at + writeBytes));
  }
  await files.hashes.write(index * hashBytes, await hash);
}

export interface ReadPart {
  bytes: Uint8Array;
  state: PartState;
}

/** Gives the first `end` bytes of an entry in parts, each checked by its hash unless they are trusted. */
export class EntryReader {
  private readonly parts = new Map<number, Promise<ReadPart>>();
  private spare: Uint8Array[] = [];
  private first = -1; // part that was asked for first
  private readonly right = new Set<number>(); // parts that had their hash

  constructor(
    public files: EntryFiles,
    readonly end: number,
    private readonly trusted = false,
  ) {}

  /** Whether every part has been checked now. */
  get checkedAll(): boolean {
    return !this.trusted && this.right.size === Math.ceil(this.end / cachePart);
  }

  /** The part that holds byte `at`, as far as there is one; good until the next call. */
  async part(at: number): Promise<ReadPart & { index: number }> {
    const index = Math.floor(at / cachePart);
    for (const [other, part] of [...this.parts]) {
      if (other >= index && other <= index + partsAhead) continue;
      this.parts.delete(other);
      const { bytes } = await part;
      if (bytes.length === cachePart) this.spare.push(bytes);
    }
    // A look at a header needs no more than its part.
    const ahead = index > this.first ? partsAhead : 0;
    if (this.first < 0) this.first = index;
    for (let i = index; i <= index + ahead && i * cachePart < this.end; i++) {
      if (!this.parts.has(i)) this.parts.set(i, this.load(i));
    }
    return { index, ...(await this.parts.get(index)!) };
  }

  /** The bytes of a part are right now, but not from here. */
  mended(index: number, bytes: Uint8Array): void {
    this.parts.set(index, Promise.resolve({ bytes, state: 'mended' }));
  }

  async release(): Promise<void> {
    const parts = [...this.parts.values()];
    this.parts.clear();
    this.spare = [];
    await Promise.all(parts);
  }

  private async load(index: number): Promise<ReadPart> {
    const memory = this.spare.pop() ?? new Uint8Array(cachePart);
    const bytes = memory.subarray(0, lengthOfPart(index, this.end));
    const state = await readPart(this.files, index, bytes, !this.trusted);
    if (state === 'good') this.right.add(index);
    return { bytes, state };
  }
}

/** Appends to an entry while its file streams in. A failure ends the writing, not the stream. */
export class EntryWriter {
  /** Bytes taken so far; the next append() goes on here. */
  position = 0;
  /** Why no more is written; '': it is. */
  failure = '';
  /** Whether there is an entry, or will be in a moment. */
  started: boolean;
  private stored = 0; // bytes written, with their hashes
  private saved = 0; // bytes that entry.json tells of
  private savedAt = performance.now();
  private part: Uint8Array = new Uint8Array(0); // being filled; made with the first byte
  private other: Uint8Array | null = null; // the part before, being written
  private pending: Promise<void> = Promise.resolve();

  /** files: null while there is no entry yet; it is made when there is something to keep. */
  constructor(
    private readonly folder: CacheFolder,
    private readonly key: string,
    private readonly info: EntryInfo,
    private files: EntryFiles | null,
  ) {
    this.started = files !== null;
  }

  /** Goes on behind what an entry has; a last part that is damaged is taken off. */
  static async resume(folder: CacheFolder, key: string, info: EntryInfo, files: EntryFiles): Promise<EntryWriter> {
    const writer = new EntryWriter(folder, key, info, files);
    const tail = info.have % cachePart;
    const index = Math.floor(info.have / cachePart);
    if (tail > 0) writer.part = new Uint8Array(cachePart);
    const good = tail === 0 || (await readPart(files, index, writer.part.subarray(0, tail))) === 'good';
    writer.position = writer.stored = writer.saved = good ? info.have : info.have - tail;
    return writer;
  }

  /** Of a new entry, before its first byte. */
  describe(size: number, validator: string | null): void {
    this.info.size = size;
    this.info.etag = validator;
  }

  async append(bytes: Uint8Array): Promise<void> {
    for (let taken = 0; taken < bytes.length && this.failure === ''; ) {
      const used = this.position % cachePart;
      if (this.part.length === 0) this.part = new Uint8Array(cachePart);
      const count = Math.min(bytes.length - taken, cachePart - used);
      this.part.set(bytes.subarray(taken, taken + count), used);
      this.position += count;
      taken += count;
      if (used + count === cachePart) await this.storePart(cachePart);
    }
  }

  /** Puts everything taken so far where a later load finds it. */
  async save(): Promise<void> {
    const tail = this.position % cachePart;
    if (tail > 0 && this.failure === '' && this.position > this.saved) await this.storePart(tail);
    await this.pending;
    const behind = this.failure === '' && this.position > this.saved;
    if (behind) await this.attempt(() => this.saveInfo(this.position, false));
  }

  /** The file is whole. */
  async finish(sha256: string | null): Promise<void> {
    this.info.sha256 = sha256;
    await this.save();
    if (this.failure === '') await this.attempt(() => this.saveInfo(this.info.size, true));
  }

  /** What was written, for reading it again; null: nothing was. */
  async written(): Promise<EntryFiles | null> {
    await this.save();
    return this.failure === '' ? this.files : null;
  }

  async close(): Promise<void> {
    await this.pending;
    const files = this.files;
    this.files = null;
    this.failure ||= 'closed';
    this.part = new Uint8Array(0);
    this.other = null;
    await files?.close().catch(() => {});
  }

  // Writes the part that was filled last while the next one comes in.
  private async storePart(length: number): Promise<void> {
    this.started = true;
    await this.pending;
    const part = this.part;
    const end = this.position;
    if (length === cachePart) {
      this.part = this.other ?? new Uint8Array(cachePart);
      this.other = part;
    }
    this.pending = this.attempt(async () => {
      const files = (this.files ??= await this.create());
      if (!files) return;
      await this.writeOrFree(files, Math.floor((end - 1) / cachePart), part.subarray(0, length));
      this.stored = end;
      const due = end - this.saved >= saveBytes || performance.now() - this.savedAt >= saveInterval;
      if (due) await this.saveInfo(end, false);
    });
  }

  // Browsers tell of more room than they give, so that only writing shows how much there is.
  private async writeOrFree(files: EntryFiles, index: number, bytes: Uint8Array): Promise<void> {
    try {
      await writePart(files, index, bytes);
    } catch (error) {
      if (!isFull(error) || !(await freeSpace(this.folder, this.info.size - this.stored, this.key))) throw error;
      await writePart(files, index, bytes);
    }
  }

  private async create(): Promise<EntryFiles | null> {
    const { folder, key, info } = this;
    const files = await folder.open(key, true);
    if (!files) {
      this.failure = 'another load is writing it';
      return null;
    }
    // Another one may have come first, between our look and our lock.
    const there = await readEntry(folder, key, info.url);
    if (there && there.have > 0 && there.etag === info.etag && there.size === info.size) {
      await files.close();
      this.failure = 'another load has written it';
      return null;
    }
    info.pinned = there?.pinned ?? false;
    await writeEntry(folder, key, { ...info, have: 0, complete: false });
    await files.data.truncate(0);
    await files.hashes.truncate(0);
    return files;
  }

  private async saveInfo(have: number, complete: boolean): Promise<void> {
    await this.files!.data.flush();
    await this.files!.hashes.flush();
    const there = await readEntry(this.folder, this.key, this.info.url);
    this.info.pinned = there?.pinned ?? this.info.pinned; // it may have been pinned meanwhile
    this.info.have = have;
    this.info.complete = complete;
    this.info.used = Date.now();
    await writeEntry(this.folder, this.key, this.info);
    this.saved = have;
    this.savedAt = performance.now();
  }

  private async attempt(run: () => Promise<void>): Promise<void> {
    if (this.failure !== '') return;
    try {
      await run();
    } catch (error) {
      this.failure = isFull(error) ? 'there is no more room for it' : messageOf(error);
      if (this.stored > this.saved) await this.saveInfo(this.stored, false).catch(() => {});
    }
  }
}

/** Puts the right bytes in the place of damaged ones. */
export async function mendPart(files: EntryFiles, index: number, bytes: Uint8Array): Promise<void> {
  await writePart(files, index, bytes);
  await files.data.flush();
  await files.hashes.flush();
}

function isFull(error: unknown): boolean {
  const { name, code } = error as { name?: string; code?: unknown };
  return name === 'QuotaExceededError' || code === 'ENOSPC' || code === 'EDQUOT';
}
