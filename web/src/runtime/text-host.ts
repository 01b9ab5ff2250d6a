// What an engine's module leaves to its host (src/wasm/text_host.cpp): Unicode's normal form, and the tokenizer of a
// tokenizer.json, which pronk-folder.wasm has.
import { messageOf } from './errors.js';
import type { FolderExports, WasmModule } from './module.js';

const encodeText = new TextEncoder();
const decodeText = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

type Tokenizer = WasmModule<FolderExports>;

export class TextHost {
  /** Of the module that calls. */
  memory: WebAssembly.Memory | null = null;
  private json: Uint8Array | null = null; // not loaded yet
  private tokenizer: Tokenizer | null = null;
  private result: Uint8Array = new Uint8Array(0);

  imports(): Record<string, WebAssembly.ImportValue> {
    return {
      text_tokenizer: (at: number, size: number) => void (this.json = this.copy(at, size)),
      text_encode: (at: number, size: number, control: number) =>
        this.answer(() => {
          const { tokenizer } = this;
          const text = this.copy(at, size);
          tokenizer!.withBytes(text, (to) => tokenizer!.call((m) => m.folder_encode(to, size, control)));
          return tokenizer!.result();
        }),
      text_decode: (id: number, first: number) =>
        this.answer(() => {
          this.tokenizer!.call((m) => m.folder_decode(id, first));
          return this.tokenizer!.result();
        }),
      text_compose: (at: number, size: number) =>
        this.answer(() => encodeText.encode(decodeText.decode(this.copy(at, size)).normalize('NFC'))),
      text_take: (at: number) =>
        void new Uint8Array(this.memory!.buffer, at >>> 0, this.result.length).set(this.result),
    };
  }

  /** After the headers of a model, before the first text: loads its tokenizer where the host has it. */
  async load(module: () => Promise<Tokenizer>): Promise<void> {
    const { json } = this;
    if (!json) return;
    this.json = null;
    const tokenizer = await module();
    tokenizer.withBytes(json, (at) => tokenizer.call((m) => m.folder_tokenizer(at, json.length)));
    this.tokenizer = tokenizer;
  }

  /** The size of what is made, or -1 less that of the message of an error. */
  private answer(make: () => Uint8Array): number {
    try {
      this.result = make();
      return this.result.length;
    } catch (error) {
      this.result = encodeText.encode(messageOf(error));
      return -1 - this.result.length;
    }
  }

  private copy(at: number, size: number): Uint8Array {
    return new Uint8Array(this.memory!.buffer, at >>> 0, size >>> 0).slice();
  }
}
