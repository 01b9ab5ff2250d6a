// The files of one model: their headers into the WASM module, then their weights, a part at a time.
import { PronkError } from './errors.js';
import { findFolder } from './folder-files.js';
import { FolderModule } from './folder-module.js';
import { openFolder } from './folder-source.js';
import type { EngineModule } from './module.js';
import type { Platform } from './platform.js';
import { type ByteSource, splitIndex, splitSiblings } from './source.js';
import type { FileSpec } from './types.js';

const firstHeaderBytes = 1 << 20;
const mostBytes = 4 << 20; // of weights before progress is told

export class ModelFiles {
  /** What the sources had to say once they were closed; see ByteSource.note. */
  readonly notes: string[] = [];
  private sources: ByteSource[] = [];
  private tails: (Tail | undefined)[] = []; // of each file

  constructor(
    private readonly module: EngineModule,
    private readonly platform: Platform,
    private readonly files: FileSpec[],
    private readonly wasmUrl?: string,
  ) {}

  /** Gives the module the header of each file, in order. */
  async readHeaders(signal?: AbortSignal): Promise<void> {
    this.sources = await this.open(signal);
    for (const [index, source] of this.sources.entries()) await this.readHeader(index, source, signal);
    await this.module.text?.load(() => this.platform.folderModule(this.wasmUrl));
    const first = this.sources[0]!;
    const count = this.module.withText(first.name, (at, length) =>
      this.module.call((m) => m.pronk_split_names(at, length)),
    );
    if (count <= this.sources.length) return;
    const names = this.module.resultText().trim().split('\n').join(', ');
    throw new PronkError('bad-argument', `the model is split into ${count} files, and all are needed: ${names}`);
  }

  private async open(signal?: AbortSignal): Promise<ByteSource[]> {
    const { platform, wasmUrl } = this;
    const found = await findFolder(platform, this.files);
    if (Array.isArray(found)) return inOrder(expandSplit(found).map((spec) => platform.source(spec)));
    const module = async (): Promise<FolderModule> => new FolderModule(await platform.folderModule(wasmUrl));
    return [await openFolder(found, module, platform.startMd5, signal)];
  }

  private async readHeader(index: number, source: ByteSource, signal?: AbortSignal): Promise<void> {
    const head = new Head(this.module);
    try {
      for (let wanted = source.headBytes ?? firstHeaderBytes; ; ) {
        const before = head.length;
        await head.fill(source, wanted, signal);
        const more = this.module.call((m) => m.pronk_header(index, head.at, head.length, source.size));
        if (more === 0) {
          this.tails[index] = { start: before, bytes: head.tail(before) };
          return;
        }
        if (head.length < wanted || (before > 0 && head.length === before)) {
          throw new PronkError('bad-model', `${source.name || 'the file'} ends inside its header`);
        }
        wanted = more;
      }
    } finally {
      head.free();
    }
  }

  /**
   * Puts as many of the wanted bytes at the module's space as there is room for; gives their number. check: throws when
   * the module is of no use any more.
   */
  async fillSpace(position: number, check: () => void, signal?: AbortSignal): Promise<number> {
    const [file, end, space, room] = this.module.run((m) => [
      m.pronk_file(),
      m.pronk_stream_end(),
      m.pronk_space(),
      m.pronk_space_len() >>> 0,
    ]) as [number, number, number, number];
    const source = this.sources[file];
    const tail = this.tails[file];
    if (!source) throw new PronkError('internal', `the module asks for file ${file} of ${this.sources.length}`);
    const count = Math.min(room, end - position, mostBytes);
    let filled = 0;
    while (filled < count) {
      const at = position + filled;
      const read =
        tail && at >= tail.start ? tail.bytes.subarray(at - tail.start, at - tail.start + count - filled) : none;
      const part = read.length > 0 ? read : await source.read(at, count - filled, end, signal);
      check();
      if (part.length === 0)
        throw new PronkError('bad-model', `${source.name || 'the file'} ends at byte ${at} of ${end}`);
      this.module.put(space + filled, part);
      filled += part.length;
    }
    if (tail && position + count >= tail.start + tail.bytes.length) this.tails[file] = undefined;
    return count;
  }

  /** Bytes read so far that came from the cache. */
  get fromCache(): number {
    return this.sources.reduce((sum, source) => sum + (source.fromCache ?? 0), 0);
  }

  async close(): Promise<void> {
    const sources = this.sources;
    this.sources = [];
    this.tails = [];
    for (const { name, note } of sources) if (note) this.notes.push(`${name}: ${note}`);
    await Promise.all(sources.map((source) => source.close().catch(() => {})));
  }
}

/** What was read last of a file's header: behind the header's end come bytes of weights. */
interface Tail {
  start: number; // in the file
  bytes: Uint8Array;
}

const none = new Uint8Array(0);

/** The first bytes of a file, growing, in the module's memory alone. */
class Head {
  at = 0;
  length = 0;

  constructor(private readonly module: EngineModule) {}

  /** Reads on until there are `wanted` bytes or the file ends. */
  async fill(source: ByteSource, wanted: number, signal?: AbortSignal): Promise<void> {
    this.at = this.module.grow(this.at, wanted);
    while (this.length < wanted) {
      const part = await source.read(this.length, wanted - this.length, wanted, signal);
      if (part.length === 0) return;
      this.module.put(this.at + this.length, part);
      this.length += part.length;
    }
  }

  tail(from: number): Uint8Array {
    return this.module.copy(this.at + from, this.length - from);
  }

  free(): void {
    if (this.at !== 0) this.module.free(this.at);
  }
}

// One URL or path of a split model stands for all its files.
function expandSplit(files: FileSpec[]): FileSpec[] {
  const only = files.length === 1 ? files[0] : undefined;
  if (only?.kind === 'url') return splitSiblings(only.url).map((url) => ({ ...only, url }));
  if (only?.kind === 'path') return splitSiblings(only.path).map((path) => ({ kind: 'path', path }));
  return files;
}

// Shards in the order of their names where all have one, else as given.
function inOrder(sources: ByteSource[]): ByteSource[] {
  const places = sources.map((source) => splitIndex(source.name));
  if (places.some((place) => place < 0)) return sources;
  return [...sources].sort((a, b) => splitIndex(a.name) - splitIndex(b.name));
}
