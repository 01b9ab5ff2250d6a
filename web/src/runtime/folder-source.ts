// A folder as one GGUF file, which is put together while it is read.
import { messageOf, PronkError, throwIfAborted } from './errors.js';
import { type FolderFiles, notOne } from './folder-files.js';
import type { FileRange, FolderModule, FolderPart, FolderPlan } from './folder-module.js';
import type { RunningHash } from './hash.js';
import { FileMissing } from './http-answer.js';
import type { ByteSource } from './source.js';

const firstHeaderBytes = 256 << 10;
const manyFiles = 64; // more are opened for their headers alone, some at a time
const atOnce = 16;
const firstBytesOfMany = 64 << 10;
const smallBytes = 32 << 20; // of a small file, asked for at once
const mostSmall = 256 << 20; // bytes of a small file
const madeBytes = 512 << 10; // of a tensor that are made at a time
const mostHeld = 1 << 30; // bytes of an input that are held
const smallGap = 1 << 20; // bytes between tensors that are read with them

/** Reads what a folder has besides its weights. module: anew for each call, so that its memory does not stay. */
export async function openFolder(
  files: FolderFiles,
  module: () => Promise<FolderModule>,
  startMd5: () => RunningHash,
  signal?: AbortSignal,
): Promise<FolderSource> {
  const reader = await module();
  await addSmallFiles(files, reader, signal);
  const opened = reader.weightFiles().map(({ name, md5 }) => {
    return new OpenFile(files, name, md5 ? new Md5Check(md5, startMd5()) : null);
  });
  try {
    await readHeaders(opened, reader, signal);
    return new FolderSource(files.name, reader.plan(opened.map(({ name }) => name)), opened, module);
  } catch (error) {
    await Promise.all(opened.map((file) => file.close()));
    throw error;
  }
}

// --- small files -----------------------------------------------------------------------------------------------------

async function addSmallFiles(files: FolderFiles, reader: FolderModule, signal?: AbortSignal): Promise<void> {
  const first = await readFirst(files, reader.fileNames(), signal);
  reader.addFile(first.name, first.bytes);
  for (let i = 0, names = reader.fileNames(); i < names.length; i++) {
    const file = await readSmall(files, names[i]!, first, signal);
    if (!file) continue;
    reader.addFile(names[i]!, file.bytes);
    names = reader.fileNames(); // it may name others
  }
  if (files.names) reader.addNames(files.names);
}

/** The first of them that is there; or that is kept, where those before it cannot be asked for. */
async function readFirst(files: FolderFiles, names: string[], signal?: AbortSignal): Promise<SmallFile> {
  let failure: unknown = null;
  for (const name of names) {
    try {
      const file = await readSmall(files, name, null, signal);
      if (file && (failure === null || file.cached)) return file;
    } catch (error) {
      if (!(error instanceof PronkError) || error.code !== 'network') throw error;
      failure ??= error;
    }
  }
  throw failure ?? new PronkError('bad-model', notOne(files.name));
}

interface SmallFile {
  name: string;
  bytes: Uint8Array;
  cached: boolean;
}

/** null: there is none. first: the one that said what folder it is. */
async function readSmall(
  files: FolderFiles,
  name: string,
  first: SmallFile | null,
  signal?: AbortSignal,
): Promise<SmallFile | null> {
  if (files.has(name) === false) return null;
  const source = files.source(name);
  try {
    const bytes = await readAll(source, signal);
    // Servers of web applications answer a name that they do not know with a page.
    const page = !name.endsWith('.jinja') && /^\s*<[!a-z]/i.test(new TextDecoder().decode(bytes.subarray(0, 64)));
    return page ? null : { name, bytes, cached: (source.fromCache ?? 0) > 0 };
  } catch (error) {
    if (error instanceof FileMissing && files.has(name) === null) return null;
    // Without a network a folder is what of it is kept. Its tokenizer is too much to go without.
    const offline = error instanceof PronkError && error.code === 'network' && files.has(name) === null;
    if (offline && first?.cached && !/^tokenizer\.(json|model)$/.test(name)) return null;
    throw error;
  } finally {
    await source.close();
  }
}

async function readAll(source: ByteSource, signal?: AbortSignal): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for (;;) {
    const part = await source.read(length, mostSmall, Math.max(source.size, smallBytes), signal);
    if (part.length === 0) break;
    parts.push(new Uint8Array(part)); // a copy: slice() of a Buffer is none
    length += part.length;
    if (Math.max(length, source.size) > mostSmall) throw new PronkError('bad-model', `${source.name} is too large`);
  }
  const all = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

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

// --- files of weights ------------------------------------------------------------------------------------------------

/** A model of a file for each tensor has hundreds: they are asked for at once, and none stays open. */
async function readHeaders(files: OpenFile[], reader: FolderModule, signal?: AbortSignal): Promise<void> {
  const [first, ...rest] = files;
  await first?.readHeader(reader, signal);
  const many = files.length > manyFiles && first!.held > 0;
  for (let i = 0; i < rest.length; i += atOnce) {
    const group = rest.slice(i, i + atOnce);
    if (many) await Promise.all(group.map((file) => file.readFirst(firstBytesOfMany, signal)));
    for (const file of group) await file.readHeader(reader, signal);
    if (many) await Promise.all(group.map((file) => file.release()));
  }
}

/** A file of weights: opened when it is first read, closed when it is done with, and opened again if need be. */
class OpenFile {
  closedFromCache = 0;
  notes: string[] = [];
  private source: ByteSource | null = null;
  private tail: { start: number; bytes: Uint8Array } | null = null; // read with the header

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

  /** Gives the module as much of it as it wants; what lies behind is kept. */
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

  /** At least one byte. */
  async read(offset: number, most: number, end: number, signal?: AbortSignal): Promise<Uint8Array> {
    const { tail } = this;
    if (tail && offset >= tail.start && offset < tail.start + tail.bytes.length) {
      return tail.bytes.subarray(offset - tail.start, offset - tail.start + most);
    }
    this.tail = null;
    const source = this.open();
    await this.readGap(source, offset, signal);
    const part = await source.read(offset, most, end, signal);
    if (part.length === 0) throw new PronkError('bad-model', `${this.name} ends at byte ${offset} of ${end}`);
    await this.count(source, offset, part);
    return part;
  }

  /** What lies before `offset`, for the hash alone. */
  private async readGap(source: ByteSource, offset: number, signal?: AbortSignal): Promise<void> {
    const { check } = this;
    if (!check || offset - check.position > smallGap) return;
    while (check.position < offset) {
      const { position } = check;
      const part = await source.read(position, offset - position, offset, signal);
      if (part.length === 0) return;
      await this.count(source, position, part);
    }
  }

  private async count(source: ByteSource, offset: number, part: Uint8Array): Promise<void> {
    if (this.check?.add(offset, part, source.size) !== false) return;
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
    await source?.close().catch(() => {});
    this.closedFromCache += source?.fromCache ?? 0;
    if (source?.note) this.notes.push(`${this.name}: ${source.note}`);
  }

  private open(): ByteSource {
    return (this.source ??= this.files.source(this.name));
  }
}

// --- the whole -------------------------------------------------------------------------------------------------------

/** How a part is read: which of its inputs is held whole while the other is read with it; -1: none is. */
interface Reading {
  held: number;
  ends: number[]; // how far each input's file is read on from there
}

export class FolderSource implements ByteSource {
  note = '';
  private readonly readings: Reading[];
  private readonly lastUses: number[]; // of each file, the index of a part; -1: none
  private at = 0; // the part that was read last
  private closed = 0; // files whose last use is before this part are closed
  private held: { part: number; bytes: Uint8Array } | null = null;
  private made: { part: number; start: number; bytes: Uint8Array } | null = null; // start: in the part
  private maker: FolderModule | null = null;

  constructor(
    readonly name: string,
    private readonly plan: FolderPlan,
    private readonly files: OpenFile[],
    private readonly module: () => Promise<FolderModule>,
  ) {
    this.readings = readingsOf(plan.parts);
    this.lastUses = files.map((_, file) => plan.parts.findLastIndex((part) => uses(part, file)));
  }

  get size(): number {
    return this.plan.bytes;
  }

  get headBytes(): number {
    return this.plan.head.length;
  }

  get fromCache(): number {
    return this.files.reduce((sum, file) => sum + file.fromCache, 0);
  }

  async read(offset: number, most: number, _end: number, signal?: AbortSignal): Promise<Uint8Array> {
    throwIfAborted(signal);
    const { head, parts } = this.plan;
    if (offset < head.length) return head.subarray(offset, offset + most);
    while (this.at > 0 && offset < parts[this.at]!.offset) this.at--;
    while (this.at < parts.length && offset >= parts[this.at]!.offset + parts[this.at]!.bytes) this.at++;
    const part = parts[this.at];
    if (!part) {
      this.at = Math.max(0, parts.length - 1);
      return new Uint8Array(0);
    }
    if (offset < part.offset) return new Uint8Array(Math.min(most, part.offset - offset)); // padding
    await this.closeUsed();
    const within = offset - part.offset;
    if (part.making) return this.readMade(part, within, most, signal);
    const input = part.inputs[0]!;
    const count = Math.min(most, part.bytes - within);
    return this.files[input.file]!.read(input.offset + within, count, this.readings[this.at]!.ends[0]!, signal);
  }

  async close(): Promise<void> {
    this.held = this.made = this.maker = null;
    await Promise.all(this.files.map((file) => file.close()));
    this.note = this.files.flatMap(({ notes }) => notes).join('; ');
  }

  private async closeUsed(): Promise<void> {
    if (this.closed >= this.at) return;
    this.closed = this.at;
    await Promise.all(this.files.filter((_, i) => this.lastUses[i]! < this.at).map((file) => file.close()));
  }

  private async readMade(part: FolderPart, within: number, most: number, signal?: AbortSignal): Promise<Uint8Array> {
    const { made } = this;
    if (made?.part !== this.at || within < made.start || within >= made.start + made.bytes.length) {
      await this.makeFrom(part, within, signal);
    }
    const { start, bytes } = this.made!;
    return bytes.subarray(within - start, within - start + most);
  }

  private async makeFrom(part: FolderPart, within: number, signal?: AbortSignal): Promise<void> {
    const making = part.making!;
    const index = this.at;
    const first = Math.floor(within / making.unit);
    const units = Math.min(Math.ceil(madeBytes / making.unit), part.bytes / making.unit - first);
    await this.hold(part, signal);
    const inputs: Uint8Array[] = [];
    for (const [i, input] of part.inputs.entries()) {
      const [from, count] = [first * making.inputUnits[i]!, units * making.inputUnits[i]!];
      const { held, ends } = this.readings[index]!;
      if (i === held) inputs.push(this.held!.bytes.subarray(from, from + count));
      else inputs.push(await this.readRange({ ...input, offset: input.offset + from, bytes: count }, ends[i]!, signal));
    }
    this.maker ??= await this.module();
    this.made = { part: index, start: first * making.unit, bytes: this.maker.make(making, units, inputs) };
  }

  /** The input that is to be there whole. */
  private async hold(part: FolderPart, signal?: AbortSignal): Promise<void> {
    const { held, ends } = this.readings[this.at]!;
    if (held < 0 || this.held?.part === this.at) return;
    const input = part.inputs[held]!;
    if (input.bytes > mostHeld) {
      const { name } = this.files[input.file]!;
      throw new PronkError('unsupported', `${name}: a tensor of ${input.bytes} bytes is too large to be put together`);
    }
    this.held = null;
    this.held = { part: this.at, bytes: await this.readRange(input, ends[held]!, signal) };
  }

  private async readRange({ file, offset, bytes }: FileRange, end: number, signal?: AbortSignal): Promise<Uint8Array> {
    const all = allocate(bytes, this.files[file]!.name);
    for (let filled = 0; filled < bytes; ) {
      const part = await this.files[file]!.read(offset + filled, bytes - filled, end, signal);
      all.set(part, filled);
      filled += part.length;
    }
    return all;
  }
}

function allocate(bytes: number, name: string): Uint8Array {
  try {
    return new Uint8Array(bytes);
  } catch (error) {
    throw new PronkError('out-of-memory', `${name}: ${messageOf(error)}`, { cause: error });
  }
}

function uses({ inputs }: FolderPart, file: number): boolean {
  return inputs.some((input) => input.file === file);
}

/** Each file is to be read from its start to its end, as far as that goes. */
function readingsOf(parts: FolderPart[]): Reading[] {
  const readings = parts.map(({ inputs }): Reading => ({ held: heldOf(inputs), ends: [] }));
  const next = new Map<number, { offset: number; end: number }>(); // of each file, what is read after that
  for (let i = parts.length - 1; i >= 0; i--) {
    const { inputs } = parts[i]!;
    const { held, ends } = readings[i]!;
    for (const j of inputs.length > 1 ? [1 - held, held] : [0]) {
      const { file, offset, bytes } = inputs[j]!;
      const own = offset + bytes;
      const after = next.get(file);
      ends[j] = after && after.offset >= own && after.offset - own <= smallGap ? after.end : own;
      next.set(file, { offset, end: ends[j]! });
    }
  }
  return readings;
}

// Of two in one file the one that comes first, else the smaller one.
function heldOf([first, second]: FileRange[]): number {
  if (!second) return -1;
  if (first!.file === second.file) return first!.offset < second.offset ? 0 : 1;
  return first!.bytes < second.bytes ? 0 : 1;
}
