// A file of weights of a folder, as it is read by a plan.
import { PronkError } from './errors.js';
import type { FolderFiles } from './folder-files.js';
import type { FolderModule } from './folder-module.js';
import { type Read, smallGap } from './folder-reads.js';
import type { RunningHash } from './hash.js';
import type { ByteSource } from './source.js';

const firstHeaderBytes = 256 << 10;

/** The MD5 of a file of which all bytes pass in order. */
export class Md5Check {
  position = 0;

  constructor(
    private readonly known: string,
    private readonly hash: RunningHash,
  ) {}

  /** Returns whether the file is what it should be as far as one can tell. */
  add(offset: number, bytes: Uint8Array, size: number): boolean {
    if (offset > this.position || offset + bytes.length <= this.position) return true;
    this.hash.update(bytes.subarray(this.position - offset));
    this.position = offset + bytes.length;
    return this.position !== size || this.hash.digest() === this.known;
  }
}

/** A file of weights: opened when it is first read, closed when it is done with, and opened again if need be. */
export class OpenFile {
  readonly notes: string[] = [];
  private closedFromCache = 0;
  private source: ByteSource | null = null;
  private tail: { start: number; bytes: Uint8Array } | null = null; // read with the header
  private position = -1; // behind what was read last; -1: nothing was

  constructor(
    private readonly files: FolderFiles,
    readonly name: string,
    private readonly check: Md5Check | null,
  ) {}

  get fromCache(): number {
    return this.closedFromCache + (this.source?.fromCache ?? 0);
  }

  /** Bytes of its beginning that are held. */
  get held(): number {
    return this.tail?.bytes.length ?? 0;
  }

  async readFirst(bytes: number, signal?: AbortSignal): Promise<void> {
    this.tail = { start: 0, bytes: await this.readOn(this.open(), new Uint8Array(0), bytes, signal) };
  }

  /** Gives the module as much of it as it wants; what lies behind stays. */
  async readHeader(reader: FolderModule, signal?: AbortSignal): Promise<void> {
    const source = this.open();
    let have = this.tail?.bytes ?? new Uint8Array(0);
    try {
      for (let wanted = 0; ; ) {
        if (wanted > 0) have = await this.readOn(source, have, Math.max(wanted, firstHeaderBytes), signal);
        if (have.length < wanted) throw new PronkError('bad-model', 'ends inside its header');
        wanted = reader.header(have, source.size);
        if (wanted === 0) break;
      }
    } catch (error) {
      const named = error instanceof PronkError && !error.message.startsWith(this.name);
      throw named ? new PronkError(error.code, `${this.name}: ${error.message}`, { cause: error }) : error;
    }
    if (have.length > 0) this.tail = { start: 0, bytes: have };
  }

  private async readOn(source: ByteSource, have: Uint8Array, to: number, signal?: AbortSignal) {
    const bytes = new Uint8Array(to);
    bytes.set(have);
    let length = have.length;
    while (length < to) {
      const part = await source.read(length, to - length, to, signal);
      if (part.length === 0) break;
      bytes.set(part, length);
      length += part.length;
    }
    return bytes.subarray(0, length);
  }

  /** At least one byte of those that `read` is for. */
  async read(offset: number, most: number, read: Read, signal?: AbortSignal): Promise<Uint8Array> {
    const { tail } = this;
    if (tail) for (const kept of read.keeps) kept.add(tail.start, tail.bytes);
    if (tail && offset >= tail.start && offset < tail.start + tail.bytes.length) {
      return tail.bytes.subarray(offset - tail.start, offset - tail.start + most);
    }
    if (tail) this.position = tail.start + tail.bytes.length;
    this.tail = null;
    const held = read.kept?.from(offset, most);
    if (held) {
      if (read.last && offset + held.length === read.kept!.end) read.kept!.drop();
      return held;
    }
    const source = this.open();
    await this.pass(source, offset, read, signal);
    const part = await source.read(offset, most, read.end, signal);
    if (part.length === 0) throw new PronkError('bad-model', `${this.name} ends at byte ${offset} of ${read.end}`);
    await this.count(source, offset, part, read);
    return part;
  }

  /** Reads what lies before `offset` and is wanted later, or by the hash alone. */
  private async pass(source: ByteSource, offset: number, read: Read, signal?: AbortSignal): Promise<void> {
    const { check, position } = this;
    const passes = !source.kept && position >= read.passesFrom;
    const hashes = check && source.kept !== 'whole' && offset - check.position <= smallGap;
    let at = Math.min(passes ? position : offset, hashes ? check.position : offset);
    while (at < offset) {
      const part = await source.read(at, offset - at, read.end, signal);
      if (part.length === 0) return;
      await this.count(source, at, part, read);
      at += part.length;
    }
  }

  private async count(source: ByteSource, position: number, part: Uint8Array, read: Read): Promise<void> {
    this.position = position + part.length;
    if (!source.kept) for (const kept of read.keeps) kept.add(position, part);
    if (source.kept === 'whole' || this.check?.add(position, part, source.size) !== false) return;
    await source.discard?.();
    throw new PronkError('damaged', `${this.name} is not what its folder promises: its MD5 is another`);
  }

  async close(): Promise<void> {
    this.tail = null;
    await this.release();
  }

  /** Closes the file; what is held of it stays. */
  async release(): Promise<void> {
    const { source } = this;
    this.source = null;
    this.position = -1;
    await source?.close().catch(() => {});
    this.closedFromCache += source?.fromCache ?? 0;
    if (source?.note) this.notes.push(`${this.name}: ${source.note}`);
  }

  private open(): ByteSource {
    return (this.source ??= this.files.source(this.name));
  }
}
