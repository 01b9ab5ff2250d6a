// A file of Node's file system as a ByteSource.
import { type FileHandle, open } from 'node:fs/promises';
import { messageOf, PronkError, throwIfAborted } from './errors.js';
import { type ByteSource, fileName } from './source.js';

const partBytes = 4 << 20;

export class PathSource implements ByteSource {
  readonly name: string;
  readonly kept = 'whole';
  size = -1;
  private file: FileHandle | null = null;
  private readonly part = Buffer.allocUnsafeSlow(partBytes);

  constructor(private readonly path: string) {
    this.name = fileName(path);
  }

  async read(offset: number, most: number, _end: number, signal?: AbortSignal): Promise<Uint8Array> {
    throwIfAborted(signal);
    try {
      if (!this.file) {
        this.file = await open(this.path);
        this.size = (await this.file.stat()).size;
      }
      const { bytesRead } = await this.file.read(this.part, 0, Math.min(partBytes, most), offset);
      throwIfAborted(signal);
      return this.part.subarray(0, bytesRead);
    } catch (error) {
      if (error instanceof PronkError) throw error;
      throw new PronkError('network', `${this.name} cannot be read: ${messageOf(error)}`, { cause: error });
    }
  }

  async close(): Promise<void> {
    const file = this.file;
    this.file = null;
    await file?.close();
  }
}
