// Model files as ranges of bytes, read in order: from memory or a Blob. URLs are in http-source.ts and cached-source.ts,
// Node's files in source-node.ts.
import { type BodyReader, readBody } from './body-reader.js';
import { messageOf, PronkError, throwIfAborted } from './errors.js';

export interface ByteSource {
  /** File name where there is one, for errors and the order of shards. */
  readonly name: string;
  /** Whole size in bytes; -1: not known, at least not before the first read(). */
  readonly size: number;
  /**
   * Bytes from `offset` on: at least one unless the file ends at `offset`, at most `most`. They are good until the next
   * call. `end` is how far the caller means to read in calls that follow; a request is made for that much.
   */
  read(offset: number, most: number, end: number, signal?: AbortSignal): Promise<Uint8Array>;
  close(): Promise<void>;
  /** What it gave is not what it should be: it is kept no longer. */
  discard?(): Promise<void>;
  /** Bytes of the header, where they are known: no more are read before the plan is made. */
  readonly headBytes?: number;
  /**
   * What it can give once more without the network: 'whole': all, as a file at hand or one that the cache had, which
   * needs no check; 'read': what has been read so far. Known once something was read.
   */
  readonly kept?: 'whole' | 'read' | undefined;
  /** Bytes given so far that came from the cache and not from the network. */
  readonly fromCache?: number;
  /** Why the cache does not keep this file, for a person; '' or undefined: nothing to say. */
  readonly note?: string;
}

export class MemorySource implements ByteSource {
  readonly name = '';
  readonly kept = 'whole';
  constructor(private readonly bytes: Uint8Array) {}

  get size(): number {
    return this.bytes.length;
  }

  async read(offset: number, most: number, _end: number, signal?: AbortSignal): Promise<Uint8Array> {
    throwIfAborted(signal);
    return this.bytes.subarray(offset, offset + most);
  }

  async close(): Promise<void> {}
}

export class BlobSource implements ByteSource {
  readonly name: string;
  readonly kept = 'whole';
  private reader: BodyReader | null = null;
  private position = 0; // where the reader stands

  constructor(private readonly blob: Blob) {
    this.name = 'name' in blob && typeof blob.name === 'string' ? blob.name : '';
  }

  get size(): number {
    return this.blob.size;
  }

  async read(offset: number, most: number, _end: number, signal?: AbortSignal): Promise<Uint8Array> {
    throwIfAborted(signal);
    try {
      if (this.position !== offset) await this.close();
      this.reader ??= readBody(this.blob.slice(offset).stream());
      const { value } = await this.reader.read(most);
      throwIfAborted(signal);
      this.position = offset + value.length;
      return value;
    } catch (error) {
      if (error instanceof PronkError) throw error;
      throw new PronkError('network', `${this.name || 'the file'} cannot be read: ${messageOf(error)}`, {
        cause: error,
      });
    }
  }

  async close(): Promise<void> {
    const reader = this.reader;
    this.reader = null;
    await reader?.cancel().catch(() => {});
  }
}

/** Without percent-encoding; as it is where that is none. */
export function decoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

export function fileName(urlOrPath: string): string {
  const path =
    /^[a-z][a-z0-9+.-]+:/i.test(urlOrPath) && URL.canParse(urlOrPath) ? new URL(urlOrPath).pathname : urlOrPath;
  return decoded(path.split(/[\\/]/).pop() ?? '');
}

const splitName = /-(\d{5})-of-(\d{5})(\.gguf)$/i;

/** Place of a file in its split model by its name, from 0; -1 when the name tells none. */
export function splitIndex(name: string): number {
  const match = splitName.exec(name);
  return match ? Number(match[1]) - 1 : -1;
}

/** The names (paths, URLs) of all files of the split model that `name` is one of, in order; only `name` if of none. */
export function splitSiblings(name: string): string[] {
  const query = /^[a-z][a-z0-9+.-]+:\/\//i.test(name) ? name.search(/[?#]/) : -1;
  const path = query < 0 ? name : name.slice(0, query);
  const tail = query < 0 ? '' : name.slice(query);
  const match = splitName.exec(path);
  const count = match ? Number(match[2]) : 0;
  if (!match || count < 1) return [name];
  const start = path.slice(0, match.index);
  const number = (i: number): string => String(i + 1).padStart(5, '0');
  return Array.from({ length: count }, (_, i) => `${start}-${number(i)}-of-${match[2]}${match[3]}${tail}`);
}
