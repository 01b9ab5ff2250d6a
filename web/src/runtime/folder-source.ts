// A folder as one GGUF file, which is put together while it is read.
import { messageOf, PronkError, throwIfAborted } from './errors.js';
import { Md5Check, OpenFile } from './folder-file.js';
import { type FolderFiles, notOne } from './folder-files.js';
import type { FolderModule, FolderPart, FolderPlan } from './folder-module.js';
import { planReads, type Reading } from './folder-reads.js';
import type { RunningHash } from './hash.js';
import { FileMissing } from './http-answer.js';
import type { ByteSource } from './source.js';

const manyFiles = 64; // more are opened for their headers alone, some at a time
const atOnce = 16;
const firstBytesOfMany = 64 << 10;
const smallBytes = 32 << 20; // of a small file, asked for at once
const mostSmall = 256 << 20; // bytes of a small file
const madeBytes = 512 << 10; // of a tensor that are made at a time
const mostHeld = 1 << 30; // bytes of an input that are held

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

// --- the whole -------------------------------------------------------------------------------------------------------

export class FolderSource implements ByteSource {
  note = '';
  private readonly readings: Reading[];
  private at = 0; // the part that was read last
  private unused: { file: OpenFile; lastUse: number }[]; // to be closed after that part, the last of them first
  private held: { part: number; bytes: Uint8Array } | null = null;
  private made: { part: number; start: number; bytes: Uint8Array } | null = null; // start: in the part
  private maker: FolderModule | null = null;

  constructor(
    readonly name: string,
    private readonly plan: FolderPlan,
    private readonly files: OpenFile[],
    private readonly module: () => Promise<FolderModule>,
  ) {
    const { readings, lastUses } = planReads(plan.parts, files.length);
    this.readings = readings;
    this.unused = files.map((file, i) => ({ file, lastUse: lastUses[i]! })).sort((a, b) => b.lastUse - a.lastUse);
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
    return this.files[input.file]!.read(input.offset + within, count, this.readings[this.at]!.reads[0]!, signal);
  }

  async close(): Promise<void> {
    this.held = this.made = this.maker = null;
    await Promise.all(this.files.map((file) => file.close()));
    this.note = this.files.flatMap(({ notes }) => notes).join('; ');
  }

  private async closeUsed(): Promise<void> {
    while (this.unused.length > 0 && this.unused.at(-1)!.lastUse < this.at) await this.unused.pop()!.file.close();
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
    for (const i of part.inputs.keys()) {
      const [from, count] = [first * making.inputUnits[i]!, units * making.inputUnits[i]!];
      if (i === this.readings[index]!.whole) inputs.push(this.held!.bytes.subarray(from, from + count));
      else inputs.push(await this.readInput(index, i, from, count, signal));
    }
    this.maker ??= await this.module();
    this.made = { part: index, start: first * making.unit, bytes: this.maker.make(making, units, inputs) };
  }

  /** The input that is to be there whole. */
  private async hold(part: FolderPart, signal?: AbortSignal): Promise<void> {
    const { whole } = this.readings[this.at]!;
    if (whole < 0 || this.held?.part === this.at) return;
    const { file, bytes } = part.inputs[whole]!;
    if (bytes > mostHeld) {
      const { name } = this.files[file]!;
      throw new PronkError('unsupported', `${name}: a tensor of ${bytes} bytes is too large to be put together`);
    }
    this.held = null;
    this.held = { part: this.at, bytes: await this.readInput(this.at, whole, 0, bytes, signal) };
  }

  private async readInput(
    part: number,
    input: number,
    from: number,
    bytes: number,
    signal?: AbortSignal,
  ): Promise<Uint8Array> {
    const { file, offset } = this.plan.parts[part]!.inputs[input]!;
    const all = allocate(bytes, this.files[file]!.name);
    for (let filled = 0; filled < bytes; ) {
      const read = this.readings[part]!.reads[input]!;
      const got = await this.files[file]!.read(offset + from + filled, bytes - filled, read, signal);
      all.set(got, filled);
      filled += got.length;
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
