// What MD5 and SHA-256 share: blocks of 64 bytes, and how a text is filled up to them.
import { type RunningHash, toHex } from './hash.js';

const blockBytes = 64;

export abstract class BlockHash implements RunningHash {
  private readonly block = new Uint8Array(blockBytes); // what did not fill one yet
  private filled = 0;
  private length = 0;

  constructor(private readonly littleEndian: boolean) {}

  update(bytes: Uint8Array): void {
    this.length += bytes.length;
    let at = 0;
    if (this.filled > 0) {
      at = Math.min(blockBytes - this.filled, bytes.length);
      this.block.set(bytes.subarray(0, at), this.filled);
      this.filled += at;
      if (this.filled < blockBytes) return;
      this.compress(this.block, 0);
    }
    for (; at + blockBytes <= bytes.length; at += blockBytes) this.compress(bytes, at);
    this.block.set(bytes.subarray(at));
    this.filled = bytes.length - at;
  }

  digest(): string {
    const end = new Uint8Array(blockBytes * (this.filled < blockBytes - 8 ? 1 : 2));
    end.set(this.block.subarray(0, this.filled));
    end[this.filled] = 0x80;
    new DataView(end.buffer).setBigUint64(end.length - 8, BigInt(this.length) * 8n, this.littleEndian);
    for (let at = 0; at < end.length; at += blockBytes) this.compress(end, at);
    return this.digestOf();
  }

  /** The block of `bytes` that begins at `at`. */
  protected abstract compress(bytes: Uint8Array, at: number): void;
  protected abstract digestOf(): string;
}

export function hexOf(words: Int32Array, littleEndian: boolean): string {
  const bytes = new DataView(new ArrayBuffer(4 * words.length));
  words.forEach((word, i) => bytes.setInt32(4 * i, word, littleEndian));
  return toHex(new Uint8Array(bytes.buffer));
}
