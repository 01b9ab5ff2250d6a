// The small Llama model of tiny-gguf.ts as a folder that Hugging Face's libraries would write, in memory.
import { chatMl, type TinyOptions, tinyParts } from './tiny-gguf.js';

export type Folder = Map<string, Uint8Array<ArrayBuffer>>;

const encoder = new TextEncoder();
export const jsonBytes = (value: unknown): Uint8Array<ArrayBuffer> => encoder.encode(JSON.stringify(value));

interface FolderTensor {
  name: string;
  dtype: string;
  shape: number[];
  bytes: Uint8Array<ArrayBuffer>;
}

const layerNames: Record<string, string> = {
  attn_norm: 'input_layernorm',
  attn_q: 'self_attn.q_proj',
  attn_k: 'self_attn.k_proj',
  attn_v: 'self_attn.v_proj',
  attn_output: 'self_attn.o_proj',
  ffn_norm: 'post_attention_layernorm',
  ffn_gate: 'mlp.gate_proj',
  ffn_up: 'mlp.up_proj',
  ffn_down: 'mlp.down_proj',
};
const modelNames: Record<string, string> = {
  token_embd: 'model.embed_tokens',
  output_norm: 'model.norm',
  output: 'lm_head',
};

function folderName(name: string): string {
  const layer = /^blk\.(\d+)\.(\w+)\.weight$/.exec(name);
  if (layer) return `model.layers.${layer[1]}.${layerNames[layer[2]!]}.weight`;
  return `${modelNames[name.replace(/\.weight$/, '')]}.weight`;
}

/** Rows of pairs (2i, 2i + 1) of each head as pairs (i, i + n/2). */
function halves(data: Float32Array, columns: number, head: number): Float32Array<ArrayBuffer> {
  const out = new Float32Array(data.length);
  for (let row = 0; row < data.length / columns; row++) {
    const inHead = row % head;
    const to = row - inHead + (inHead % 2) * (head / 2) + (inHead >> 1);
    out.set(data.subarray(row * columns, (row + 1) * columns), to * columns);
  }
  return out;
}

export function safetensors(tensors: FolderTensor[]): Uint8Array<ArrayBuffer> {
  const header: Record<string, unknown> = {};
  let offset = 0;
  for (const { name, dtype, shape, bytes } of tensors) {
    header[name] = { dtype, shape, data_offsets: [offset, offset + bytes.length] };
    offset += bytes.length;
  }
  const text = jsonBytes(header);
  const file = new Uint8Array(8 + text.length + offset);
  new DataView(file.buffer).setUint32(0, text.length, true);
  file.set(text, 8);
  let at = 8 + text.length;
  for (const { bytes } of tensors) {
    file.set(bytes, at);
    at += bytes.length;
  }
  return file;
}

/** BPE over characters, with byte tokens: what the GGUF file's tokens and scores say. */
function tokenizerJson(tokens: string[]): unknown {
  const special = tokens.slice(0, 5).map((content, id) => ({ id, content, special: true, normalized: false }));
  return {
    added_tokens: special,
    normalizer: {
      type: 'Sequence',
      normalizers: [
        { type: 'Prepend', prepend: '▁' },
        { type: 'Replace', pattern: { String: ' ' }, content: '▁' },
      ],
    },
    pre_tokenizer: null,
    post_processor: {
      type: 'TemplateProcessing',
      single: [{ SpecialToken: { id: '<s>', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
      pair: [],
      special_tokens: { '<s>': { id: '<s>', ids: [1], tokens: ['<s>'] } },
    },
    decoder: {
      type: 'Sequence',
      decoders: [
        { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
        { type: 'ByteFallback' },
        { type: 'Fuse' },
        { type: 'Strip', content: ' ', start: 1, stop: 0 },
      ],
    },
    model: {
      type: 'BPE',
      unk_token: '<unk>',
      byte_fallback: true,
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges: [
        ['▁', 't'],
        ['h', 'e'],
        ['▁t', 'he'],
      ],
    },
  };
}

/** The files of the folder; of several shards also their index. */
export function tinyFolder(shards = 1, options: TinyOptions = {}): Folder {
  const { shape, vocabulary, tensors } = tinyParts(options);
  const list = tensors.map(({ name, dims, data }): FolderTensor => {
    const rows = /attn_[qk]\./.test(name) ? halves(data, dims[0]!, shape.headSize) : data;
    return { name: folderName(name), dtype: 'F32', shape: [...dims].reverse(), bytes: new Uint8Array(rows.buffer) };
  });
  const folder: Folder = new Map();
  const config = {
    model_type: 'llama',
    num_hidden_layers: shape.layers,
    hidden_size: shape.width,
    intermediate_size: shape.ff,
    num_attention_heads: shape.heads,
    num_key_value_heads: shape.kvHeads,
    max_position_embeddings: 256,
    rms_norm_eps: 1e-5,
    vocab_size: vocabulary.tokens.length,
    rope_theta: 10000,
    tie_word_embeddings: options.largeVocabulary === true,
  };
  folder.set('config.json', jsonBytes(config));
  folder.set('tokenizer.json', jsonBytes(tokenizerJson(vocabulary.tokens)));
  const special = { bos_token: '<s>', eos_token: '</s>', chat_template: chatMl };
  folder.set('tokenizer_config.json', jsonBytes(special));
  addShards(folder, list, shards);
  return folder;
}

/** Files of weights, and the index when there are several. */
export function addShards(folder: Folder, tensors: FolderTensor[], shards: number): void {
  const map: Record<string, string> = {};
  for (let i = 0; i < shards; i++) {
    const file = shards === 1 ? 'model.safetensors' : `model-0000${i + 1}-of-0000${shards}.safetensors`;
    const part = tensors.filter((_, j) => j % shards === i);
    for (const { name } of part) map[name] = file;
    folder.set(file, safetensors(part));
  }
  if (shards > 1) folder.set('model.safetensors.index.json', jsonBytes({ weight_map: map }));
}
