// Reads a stream of bytes through one buffer where the stream allows it (BYOB). Chunks that are made anew for each read
// wait for the garbage collector, in Chromium hundreds of megabytes of them while a model loads.

export interface BodyReader {
  /** The next bytes, at most `most`, good until the next call. */
  read(most?: number): Promise<{ done: boolean; value: Uint8Array }>;
  cancel(): Promise<void>;
}

const bufferBytes = 512 << 10;
const none = new Uint8Array(0);

export function readBody(stream: ReadableStream<Uint8Array>): BodyReader {
  let reader: ReadableStreamBYOBReader;
  try {
    reader = stream.getReader({ mode: 'byob' });
  } catch {
    return new ChunkReader(stream.getReader()); // no byte stream, or a browser without them
  }
  return new ByobReader(reader);
}

class ByobReader implements BodyReader {
  private buffer = new ArrayBuffer(bufferBytes);

  constructor(private readonly reader: ReadableStreamBYOBReader) {}

  async read(most = bufferBytes): Promise<{ done: boolean; value: Uint8Array }> {
    const { done, value } = await this.reader.read(new Uint8Array(this.buffer, 0, Math.min(most, bufferBytes)));
    if (value) this.buffer = value.buffer;
    return done ? { done, value: none } : { done, value };
  }

  cancel(): Promise<void> {
    return this.reader.cancel();
  }
}

class ChunkReader implements BodyReader {
  private rest: Uint8Array = none;

  constructor(private readonly reader: ReadableStreamDefaultReader<Uint8Array>) {}

  async read(most = Infinity): Promise<{ done: boolean; value: Uint8Array }> {
    if (this.rest.length === 0) {
      const { done, value } = await this.reader.read();
      if (done) return { done, value: none };
      this.rest = value;
    }
    const value = this.rest.subarray(0, most);
    this.rest = this.rest.subarray(value.length);
    return { done: false, value };
  }

  cancel(): Promise<void> {
    return this.reader.cancel();
  }
}
