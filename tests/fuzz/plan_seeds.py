#!/usr/bin/env python3
"""Writes the seeds of plan_fuzz to tests/fuzz/corpus/plan_fuzz: a small model of three architectures, once as the fields
that the target reads and once as a whole GGUF header, on a device of the default limits and on one of small limits; and
of every architecture in ../shared/vectors/archs, where that is here, the header without the vocabulary."""
import pathlib
import struct

FOLDER = pathlib.Path(__file__).parent / 'corpus' / 'plan_fuzz'
MODELS = pathlib.Path(__file__).parents[3] / 'shared' / 'vectors' / 'archs' / 'models'
ARCHITECTURES = ['llama', 'qwen2', 'qwen3']
LAYERS, WIDTH, FEED_FORWARD, VOCAB, HEADS, KV_HEADS, DIM = 2, 64, 96, 320, 4, 2, 16


def size(value):
    """As Fields::size() of plan_fuzz.cpp reads it."""
    shift = 0
    while value > 32:
        assert value % 2 == 0
        value, shift = value // 2, shift + 1
    return bytes([value - 1, shift])


def options(whole_header, buffer, binding, workgroups):
    """Limits, then a context of 64 tokens with an f16 cache and no logits of prefill."""
    return bytes([whole_header]) + size(buffer) + size(binding) + size(workgroups) + size(64) + bytes([0, 0, 0])


def fields(arch, flags=bytes([0, 0, 1])):
    shape = bytes([ARCHITECTURES.index(arch), LAYERS - 1])
    shape += size(WIDTH) + size(FEED_FORWARD) + size(VOCAB) + size(KV_HEADS) + size(HEADS // KV_HEADS)
    return shape + bytes([DIM // 4 - 1, DIM // 2 - 1]) + size(512) + flags + bytes([0, 1, 2, 0])


def text(value):
    return struct.pack('<Q', len(value)) + value.encode()


def header(arch):
    metadata = [('general.architecture', 8, text(arch))]
    numbers = {'block_count': 1, 'embedding_length': WIDTH, 'feed_forward_length': FEED_FORWARD,
               'context_length': 512, 'attention.head_count': HEADS, 'attention.head_count_kv': KV_HEADS,
               'attention.key_length': DIM, 'attention.value_length': DIM}
    metadata += [(f'{arch}.{key}', 4, struct.pack('<I', value)) for key, value in numbers.items()]
    metadata.append((f'{arch}.attention.layer_norm_rms_epsilon', 6, struct.pack('<f', 1e-5)))
    q, kv, blk = HEADS * DIM, KV_HEADS * DIM, 'blk.0.'
    tensors = [('token_embd.weight', [WIDTH, VOCAB]), ('output_norm.weight', [WIDTH]),
               (blk + 'attn_norm.weight', [WIDTH]), (blk + 'attn_q.weight', [WIDTH, q]),
               (blk + 'attn_k.weight', [WIDTH, kv]), (blk + 'attn_v.weight', [WIDTH, kv]),
               (blk + 'attn_output.weight', [q, WIDTH]), (blk + 'ffn_norm.weight', [WIDTH]),
               (blk + 'ffn_gate.weight', [WIDTH, FEED_FORWARD]), (blk + 'ffn_up.weight', [WIDTH, FEED_FORWARD]),
               (blk + 'ffn_down.weight', [FEED_FORWARD, WIDTH])]
    if arch == 'qwen2':
        tensors += [(f'{blk}attn_{part}.bias', [rows]) for part, rows in (('q', q), ('k', kv), ('v', kv))]
    if arch == 'qwen3':
        tensors += [(f'{blk}attn_{part}_norm.weight', [DIM]) for part in 'qk']
    out = b'GGUF' + struct.pack('<IQQ', 3, len(tensors), len(metadata))
    for key, kind, value in metadata:
        out += text(key) + struct.pack('<I', kind) + value
    offset = 0
    for name, shape in tensors:
        out += text(name) + struct.pack('<I', len(shape)) + b''.join(struct.pack('<Q', d) for d in shape)
        out += struct.pack('<IQ', 0, offset)  # F32
        offset += 4 * shape[0] * (shape[1] if len(shape) > 1 else 1)
    return out


class Gguf:
    """A GGUF header: the bytes of each metadata pair and of the tensor table."""
    SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}

    def __init__(self, data):
        self.data, self.at, self.pairs, self.architecture = data, 8, {}, ''
        self.tensor_count, pair_count = self.number(), self.number()
        for _ in range(pair_count):
            begin = self.at
            key = self.text()
            kind = self.number(4)
            if key == 'general.architecture':
                value = self.at
                self.architecture, self.at = self.text(), value
            self.skip(kind)
            self.pairs[key] = data[begin:self.at]
        begin = self.at
        for _ in range(self.tensor_count):
            self.text()
            dimensions = self.number(4)
            self.at += 8 * dimensions + 12
        self.tensors = data[begin:self.at]

    def number(self, size=8):
        self.at += size
        return int.from_bytes(self.data[self.at - size:self.at], 'little')

    def text(self):
        size = self.number()
        self.at += size
        return self.data[self.at - size:self.at].decode(errors='replace')

    def skip(self, kind):
        if kind == 8:
            self.text()
        elif kind == 9:
            element, count = self.number(4), self.number()
            for _ in range(count):
                self.skip(element)
        else:
            self.at += self.SIZES[kind]

    def without_vocabulary(self):
        kept = [pair for key, pair in self.pairs.items() if not key.startswith('tokenizer.')]
        return b'GGUF' + struct.pack('<IQQ', 3, self.tensor_count, len(kept)) + b''.join(kept) + self.tensors


FOLDER.mkdir(parents=True, exist_ok=True)
for name in ARCHITECTURES:
    (FOLDER / f'{name}-fields').write_bytes(options(0, 256 << 20, 128 << 20, 63488) + fields(name))
    (FOLDER / f'{name}-small-limits').write_bytes(options(0, 32768, 16384, 96) + fields(name, bytes([1, 1, 0])))
    (FOLDER / f'{name}-header').write_bytes(options(1, 256 << 20, 128 << 20, 63488) + header(name))

written = set()
for path in sorted(MODELS.glob('*.gguf')):
    model = Gguf(path.read_bytes())
    if model.architecture not in written:
        written.add(model.architecture)
        seed = options(1, 256 << 20, 128 << 20, 63488) + model.without_vocabulary()
        (FOLDER / f'{model.architecture}-model').write_bytes(seed)
