"""Byte-level BPE with the words of `tokenizer.ggml.pre` = "gpt-2": its trainer, and an encoder for the ASCII corpus."""
import heapq
import json
import re
from collections import Counter, defaultdict

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<tool_call>", "</tool_call>"]
# The gpt2 expression of src/text/pre_tokenizer.h for ASCII text.
WORD = re.compile(r"'(?:s|t|re|ve|m|ll|d)| ?[A-Za-z]+| ?[0-9]+| ?[^\sA-Za-z0-9]+|\s+(?!\S)|\s+")
CUT = re.compile("(" + "|".join(map(re.escape, SPECIAL)) + ")")


def byte_chars():
  """The printable character that stands for each byte (Radford et al. 2019)."""
  out, extra = [], 0
  for b in range(256):
    if 0x20 < b < 0x7f or 0xa0 < b != 0xad:
      out.append(chr(b))
    else:
      out.append(chr(0x100 + extra))
      extra += 1
  return out


BYTE_CHARS = byte_chars()


def train(texts, vocab_size):
  """Merges [(left, right)] in order; a tie goes to the pair that sorts first."""
  counts = Counter(word for text in texts for piece in CUT.split(text) if piece not in SPECIAL for word in WORD.findall(piece))
  words = [([BYTE_CHARS[b] for b in word.encode()], n) for word, n in sorted(counts.items())]
  pairs, where = Counter(), defaultdict(set)
  for i, (symbols, n) in enumerate(words):
    for pair in zip(symbols, symbols[1:]):
      pairs[pair] += n
      where[pair].add(i)
  heap = [(-n, pair) for pair, n in pairs.items()]
  heapq.heapify(heap)
  merges = []
  while len(merges) < vocab_size - 256 - len(SPECIAL) and heap:
    n, pair = heapq.heappop(heap)
    if pairs[pair] != -n:
      continue  # out of date; the true count is in the heap too
    merges.append(pair)
    changed = set()
    for i in sorted(where[pair]):
      symbols, count = words[i]
      for old in zip(symbols, symbols[1:]):
        pairs[old] -= count
        changed.add(old)
      joined, j = [], 0
      while j < len(symbols):
        if tuple(symbols[j:j + 2]) == pair:
          joined.append(symbols[j] + symbols[j + 1])
          j += 2
        else:
          joined.append(symbols[j])
          j += 1
      words[i] = (joined, count)
      for new in zip(joined, joined[1:]):
        pairs[new] += count
        changed.add(new)
        where[new].add(i)
    for p in sorted(changed):
      if pairs[p] > 0:
        heapq.heappush(heap, (-pairs[p], p))
  return merges


class Tokenizer:
  def __init__(self, merges):
    self.merges = [tuple(m) for m in merges]
    self.rank = {m: i for i, m in enumerate(self.merges)}
    self.tokens = SPECIAL + sorted(BYTE_CHARS, key=BYTE_CHARS.index) + [x + y for x, y in self.merges]
    self.id = {t: i for i, t in enumerate(self.tokens)}
    self.cache = {}

  @classmethod
  def load(cls, path):
    with open(path) as f:
      return cls(json.load(f)["merges"])

  def save(self, path):
    with open(path, "w") as f:
      json.dump({"merges": self.merges}, f, ensure_ascii=True, indent=0)

  def word(self, word):
    found = self.cache.get(word)
    if found is None:
      symbols = [BYTE_CHARS[b] for b in word.encode()]
      while len(symbols) > 1:
        rank, i = min((self.rank.get(p, 1 << 30), i) for i, p in enumerate(zip(symbols, symbols[1:])))
        if rank == 1 << 30:
          break
        symbols[i:i + 2] = [symbols[i] + symbols[i + 1]]
      found = self.cache[word] = [self.id[s] for s in symbols]
    return found

  def encode(self, text):
    out = []
    for piece in CUT.split(text):
      if piece in SPECIAL:
        out.append(self.id[piece])
      else:
        for word in WORD.findall(piece):
          out += self.word(word)
    return out

  def decode(self, ids):
    back = {c: b for b, c in enumerate(BYTE_CHARS)}
    parts = [self.tokens[i].encode() if i < len(SPECIAL) else bytes(back[c] for c in self.tokens[i]) for i in ids]
    return b"".join(parts).decode(errors="replace")


if __name__ == "__main__":
  import random
  import sys
  from corpus import segments
  rng = random.Random("tokenizer")
  texts = ["".join(t for t, _ in segments(rng)) for _ in range(20000)]
  tokenizer = Tokenizer(train(texts, int(sys.argv[2])))
  tokenizer.save(sys.argv[1])
  ids = [len(tokenizer.encode(t)) for t in texts[:2000]]
  print(f"{len(tokenizer.tokens)} tokens, {sum(map(len, texts[:2000])) / sum(ids):.2f} characters a token, "
        f"{sum(ids) / len(ids):.0f} tokens a text, longest {max(ids)}")
