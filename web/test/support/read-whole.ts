import type { ByteSource } from '../../src/runtime/source.js';

/** All of a source, by reads of `most` bytes. */
export async function readWhole(source: ByteSource, most = 300_000): Promise<Uint8Array<ArrayBuffer>> {
  const parts: Uint8Array[] = [];
  for (let at = 0; ; ) {
    const part = await source.read(at, most, source.size);
    if (part.length === 0) return Buffer.concat(parts);
    parts.push(new Uint8Array(part)); // a copy: slice() of a Buffer is none
    at += part.length;
  }
}
