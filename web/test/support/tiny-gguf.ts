// A small Llama model with seeded random weights as GGUF (version 3), made at test time. Its text means nothing.
// Format: ggml/docs/gguf.md.

const type = { uint32: 4, int32: 5, float32: 6, string: 8, array: 9, uint16: 2 } as const;
const tinyShape = { layers: 2, width: 64, ff: 96, heads: 4, kvHeads: 2, headSize: 16 };
const wideShape: Shape = { layers: 2, width: 256, ff: 512, heads: 4, kvHeads: 2, headSize: 64 };
type Shape = typeof tinyShape;

class Writer {
  private bytes: number[] = [];
  private readonly scratch = new DataView(new ArrayBuffer(8));

  get length(): number {
    return this.bytes.length;
  }
  u16(value: number): void {
    this.bytes.push(value & 255, value >> 8);
  }
  u32(value: number): void {
    this.scratch.setUint32(0, value, true);
    this.raw(4);
  }
  u64(value: number): void {
    this.u32(value % 2 ** 32);
    this.u32(Math.floor(value / 2 ** 32));
  }
  f32(value: number): void {
    this.scratch.setFloat32(0, value, true);
    this.raw(4);
  }
  text(value: string): void {
    const encoded = new TextEncoder().encode(value);
    this.u64(encoded.length);
    this.bytes.push(...encoded);
  }
  pad(alignment: number): void {
    while (this.bytes.length % alignment !== 0) this.bytes.push(0);
  }
  done(): Uint8Array {
    return Uint8Array.from(this.bytes);
  }
  private raw(count: number): void {
    for (let i = 0; i < count; i++) this.bytes.push(this.scratch.getUint8(i));
  }
}

type Value =
  | { u16: number }
  | { u32: number }
  | { f32: number }
  | { text: string }
  | { texts: string[] }
  | { f32s: number[] }
  | { i32s: number[] };

function writeValue(out: Writer, value: Value): void {
  const array = (element: number, count: number): void => {
    out.u32(type.array);
    out.u32(element);
    out.u64(count);
  };
  if ('u16' in value) {
    out.u32(type.uint16);
    out.u16(value.u16);
  } else if ('u32' in value) {
    out.u32(type.uint32);
    out.u32(value.u32);
  } else if ('f32' in value) {
    out.u32(type.float32);
    out.f32(value.f32);
  } else if ('text' in value) {
    out.u32(type.string);
    out.text(value.text);
  } else if ('texts' in value) {
    array(type.string, value.texts.length);
    value.texts.forEach((text) => out.text(text));
  } else if ('f32s' in value) {
    array(type.float32, value.f32s.length);
    value.f32s.forEach((number) => out.f32(number));
  } else {
    array(type.int32, value.i32s.length);
    value.i32s.forEach((number) => out.u32(number));
  }
}

interface Tensor {
  name: string;
  dims: number[]; // the row length first
  scale: number;
  constant?: number;
}

function tensorList(vocab: number, tied: boolean, shape: Shape): Tensor[] {
  const { layers, width, ff, heads, kvHeads, headSize } = shape;
  const matrix = (name: string, columns: number, rows: number): Tensor => ({
    name: `${name}.weight`,
    dims: [columns, rows],
    scale: 1.5 / Math.sqrt(columns),
  });
  const norm = (name: string): Tensor => ({ name: `${name}.weight`, dims: [width], scale: 0.1, constant: 1 });
  const list = [{ ...matrix('token_embd', width, vocab), scale: 1 }];
  for (let i = 0; i < layers; i++) {
    const b = `blk.${i}`;
    list.push(
      norm(`${b}.attn_norm`),
      matrix(`${b}.attn_q`, width, heads * headSize),
      matrix(`${b}.attn_k`, width, kvHeads * headSize),
      matrix(`${b}.attn_v`, width, kvHeads * headSize),
      matrix(`${b}.attn_output`, heads * headSize, width),
      norm(`${b}.ffn_norm`),
      matrix(`${b}.ffn_gate`, width, ff),
      matrix(`${b}.ffn_up`, width, ff),
      matrix(`${b}.ffn_down`, ff, width),
    );
  }
  list.push(norm('output_norm'));
  if (!tied) list.push(matrix('output', width, vocab));
  return list;
}

// mulberry32, and a sum of four of its numbers: near enough to normal, standard deviation 1.
function normalNumbers(seed: number): () => number {
  let state = seed;
  const uniform = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  return () => (uniform() + uniform() + uniform() + uniform() - 2) * Math.sqrt(3);
}

export const chatMl =
  "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>\\n' }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

export interface TinyOptions {
  seed?: number;
  chatTemplate?: string;
  name?: string | null; // null: none
  shards?: number;
  /** Tensors start at multiples of this; default 32. The file has holes then, and may be of any size. */
  spread?: number;
  /** A vocabulary of the size of Llama 3's, byte-level BPE, and an output matrix that is the embedding. */
  largeVocabulary?: boolean;
  /** Rows of 256 and more weights, which every weight format can hold. */
  wide?: boolean;
  /** Its likeliest token never is one that ends the text. */
  endless?: boolean;
}

// 128256 tokens and 280147 merges: bytes, then all texts of two, three and four letters as far as they fit, with a merge
// for each way to cut one.
function largeVocabulary(): { tokens: string[]; metadata: [string, Value][] } {
  const tokens: string[] = [];
  for (let i = 0; i < 256; i++) tokens.push(String.fromCodePoint(i > 0x20 && i < 0x7f ? i : 0x100 + i));
  const merges: string[] = [];
  let shorter = [...'abcdefghijklmnopqrstuvwxyz'];
  for (let length = 2; length <= 4; length++) {
    const made: string[] = [];
    for (const first of shorter) {
      for (const last of 'abcdefghijklmnopqrstuvwxyz') {
        if (tokens.length === 128_256) break;
        const text = first + last;
        made.push(text);
        tokens.push(text);
        for (let cut = 1; cut < length && merges.length < 280_147; cut++)
          merges.push(`${text.slice(0, cut)} ${text.slice(cut)}`);
      }
    }
    shorter = made;
  }
  return {
    tokens,
    metadata: [
      ['tokenizer.ggml.model', { text: 'gpt2' }],
      ['tokenizer.ggml.pre', { text: 'llama-bpe' }],
      ['tokenizer.ggml.tokens', { texts: tokens }],
      ['tokenizer.ggml.token_type', { i32s: tokens.map(() => 1) }],
      ['tokenizer.ggml.merges', { texts: merges }],
      ['tokenizer.ggml.eos_token_id', { u32: 0 }],
    ],
  };
}

function smallVocabulary(): { tokens: string[]; metadata: [string, Value][] } {
  const tokens = ['<unk>', '<s>', '</s>', '<|im_start|>', '<|im_end|>'];
  for (let i = 0; i < 256; i++) tokens.push(`<0x${i.toString(16).toUpperCase().padStart(2, '0')}>`);
  tokens.push(...'▁abcdefghijklmnopqrstuvwxyz,.', '▁t', 'he', '▁the');
  const kinds = tokens.map((_, i) => (i === 0 ? 2 : i < 5 ? 3 : i < 261 ? 6 : 1)); // unknown, control, byte, normal
  return {
    tokens,
    metadata: [
      ['tokenizer.ggml.model', { text: 'llama' }],
      ['tokenizer.ggml.tokens', { texts: tokens }],
      ['tokenizer.ggml.scores', { f32s: tokens.map((_, i) => -i) }],
      ['tokenizer.ggml.token_type', { i32s: kinds }],
      ['tokenizer.ggml.bos_token_id', { u32: 1 }],
      ['tokenizer.ggml.eos_token_id', { u32: 2 }],
    ],
  };
}

/** A file of which only the pieces are not zero. */
export class SparseFile {
  constructor(
    readonly length: number,
    readonly pieces: { at: number; bytes: Uint8Array }[],
  ) {}

  subarray(start: number, end: number): Uint8Array<ArrayBuffer> {
    const part = new Uint8Array(end - start);
    for (const { at, bytes } of this.pieces) {
      const from = Math.max(start, at);
      const to = Math.min(end, at + bytes.length);
      if (from < to) part.set(bytes.subarray(from - at, to - at), from - start);
    }
    return part;
  }
}

/** The files of the model: one, or `shards` of them. */
export function tinyModel(options: TinyOptions = {}): Uint8Array<ArrayBuffer>[] {
  return sparseTinyModel(options).map((file) => file.subarray(0, file.length));
}

type TinyTensor = Tensor & { data: Float32Array<ArrayBuffer> };

interface TinyParts {
  shape: Shape;
  vocabulary: { tokens: string[]; metadata: [string, Value][] };
  tensors: TinyTensor[];
}

/** What the model is made of. */
export function tinyParts(options: TinyOptions = {}): TinyParts {
  const vocabulary = options.largeVocabulary ? largeVocabulary() : smallVocabulary();
  const shape = options.wide ? wideShape : tinyShape;
  const next = normalNumbers(options.seed ?? 1);
  const tensors = tensorList(vocabulary.tokens.length, options.largeVocabulary === true, shape).map((tensor) => {
    const count = tensor.dims.reduce((a, b) => a * b, 1);
    return {
      ...tensor,
      data: Float32Array.from({ length: count }, () => (tensor.constant ?? 0) + tensor.scale * next()),
    };
  });
  if (options.endless) tensors.at(-1)!.data.fill(0, 0, 5 * shape.width); // the output matrix: logits of 0 for control tokens
  return { shape, vocabulary, tensors };
}

/** The same, for files too large to be made. */
export function sparseTinyModel(options: TinyOptions = {}): SparseFile[] {
  const { shape, vocabulary, tensors } = tinyParts(options);
  const metadata: [string, Value][] = [
    ['general.architecture', { text: 'llama' }],
    ['llama.block_count', { u32: shape.layers }],
    ['llama.context_length', { u32: 256 }],
    ['llama.embedding_length', { u32: shape.width }],
    ['llama.feed_forward_length', { u32: shape.ff }],
    ['llama.attention.head_count', { u32: shape.heads }],
    ['llama.attention.head_count_kv', { u32: shape.kvHeads }],
    ['llama.attention.layer_norm_rms_epsilon', { f32: 1e-5 }],
    ['llama.rope.dimension_count', { u32: shape.headSize }],
    ...vocabulary.metadata,
  ];
  if (options.name !== null) metadata.push(['general.name', { text: options.name ?? 'Tiny test model' }]);
  if (options.chatTemplate) metadata.push(['tokenizer.chat_template', { text: options.chatTemplate }]);
  const shards = options.shards ?? 1;
  const share = Math.ceil(tensors.length / shards);
  return Array.from({ length: shards }, (_, i) => {
    const split: [string, Value][] = [
      ['split.no', { u16: i }],
      ['split.count', { u16: shards }],
      ['split.tensors.count', { u32: tensors.length }],
    ];
    const head = i === 0 ? metadata : metadata.slice(0, 1);
    return writeFile(
      shards > 1 ? [...head, ...split] : head,
      tensors.slice(i * share, (i + 1) * share),
      options.spread,
    );
  });
}

function writeFile(metadata: [string, Value][], tensors: TinyTensor[], spread = 32): SparseFile {
  const alignment = 32;
  const header = new Writer();
  header.u32(0x46554747); // GGUF
  header.u32(3);
  header.u64(tensors.length);
  header.u64(metadata.length);
  for (const [key, value] of metadata) {
    header.text(key);
    writeValue(header, value);
  }
  let offset = 0;
  const offsets = tensors.map(({ name, dims, data }) => {
    const at = offset;
    header.text(name);
    header.u32(dims.length);
    dims.forEach((dim) => header.u64(dim));
    header.u32(0); // F32
    header.u64(at);
    offset += Math.ceil(data.byteLength / spread) * spread;
    return at;
  });
  header.pad(alignment);
  const pieces = tensors.map(({ data }, i) => ({
    at: header.length + offsets[i]!,
    bytes: new Uint8Array(data.buffer),
  }));
  return new SparseFile(header.length + offset, [{ at: 0, bytes: header.done() }, ...pieces]);
}
