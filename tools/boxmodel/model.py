"""The network: a Llama as GGUF means it (RMS norm, GQA, RoPE on adjacent pairs, SwiGLU, tied embedding)."""
from dataclasses import dataclass

import torch
import torch.nn as nn
import torch.nn.functional as F


@dataclass(frozen=True)
class Config:
  vocab: int = 2048
  width: int = 256
  layers: int = 5
  heads: int = 4
  kv_heads: int = 2
  feed_forward: int = 512
  context: int = 1024
  rope_base: float = 10000.0
  norm_eps: float = 1e-5

  @property
  def head_dim(self):
    return self.width // self.heads


def rope_tables(config, length):
  """cos and sin, each [length, head_dim / 2]."""
  frequency = config.rope_base ** (-torch.arange(0, config.head_dim, 2).double() / config.head_dim)
  angle = torch.outer(torch.arange(length).double(), frequency)
  return angle.cos().float(), angle.sin().float()


def rotate(x, cos, sin):
  """x [batch, tokens, heads, head_dim]; pair i is (2i, 2i + 1); cos and sin [batch, tokens, 1, head_dim / 2]."""
  even, odd = x[..., 0::2], x[..., 1::2]
  return torch.stack((even * cos - odd * sin, even * sin + odd * cos), dim=-1).flatten(-2)


class Layer(nn.Module):
  def __init__(self, c):
    super().__init__()
    self.c = c
    kv_width = c.kv_heads * c.head_dim
    self.attn_norm = nn.RMSNorm(c.width, eps=c.norm_eps)
    self.q = nn.Linear(c.width, c.width, bias=False)
    self.k = nn.Linear(c.width, kv_width, bias=False)
    self.v = nn.Linear(c.width, kv_width, bias=False)
    self.o = nn.Linear(c.width, c.width, bias=False)
    self.ffn_norm = nn.RMSNorm(c.width, eps=c.norm_eps)
    self.gate = nn.Linear(c.width, c.feed_forward, bias=False)
    self.up = nn.Linear(c.width, c.feed_forward, bias=False)
    self.down = nn.Linear(c.feed_forward, c.width, bias=False)

  def forward(self, x, cos, sin, mask):
    c, (batch, tokens, _) = self.c, x.shape
    n = self.attn_norm(x)
    q = rotate(self.q(n).view(batch, tokens, c.heads, c.head_dim), cos, sin)
    k = rotate(self.k(n).view(batch, tokens, c.kv_heads, c.head_dim), cos, sin)
    v = self.v(n).view(batch, tokens, c.kv_heads, c.head_dim)
    group = c.heads // c.kv_heads
    k, v = k.repeat_interleave(group, dim=2), v.repeat_interleave(group, dim=2)
    a = F.scaled_dot_product_attention(q.transpose(1, 2).to(v.dtype), k.transpose(1, 2).to(v.dtype), v.transpose(1, 2),
                                       attn_mask=mask, is_causal=mask is None)
    x = x + self.o(a.transpose(1, 2).reshape(batch, tokens, c.width))
    n = self.ffn_norm(x)
    return x + self.down(F.silu(self.gate(n)) * self.up(n))


class Llama(nn.Module):
  def __init__(self, config):
    super().__init__()
    self.config = config
    self.embedding = nn.Embedding(config.vocab, config.width)
    self.layers = nn.ModuleList(Layer(config) for _ in range(config.layers))
    self.norm = nn.RMSNorm(config.width, eps=config.norm_eps)
    nn.init.normal_(self.embedding.weight, std=0.02)
    for layer in self.layers:
      for linear in (layer.q, layer.k, layer.v, layer.gate, layer.up):
        nn.init.normal_(linear.weight, std=config.width ** -0.5 * 0.8)
      for linear in (layer.o, layer.down):
        nn.init.normal_(linear.weight, std=0.02 / (2 * config.layers) ** 0.5)
    cos, sin = rope_tables(config, config.context)
    self.register_buffer("cos", cos, persistent=False)
    self.register_buffer("sin", sin, persistent=False)

  def forward(self, tokens, positions=None, mask=None, pick=None):
    """tokens, positions [batch, tokens]; mask [batch, 1, tokens, tokens], true where a query may look; pick: flat
    indices of the tokens whose logits are wanted. Logits [picked, vocab], or of all tokens."""
    if positions is None:
      positions = torch.arange(tokens.shape[1]).expand_as(tokens)
    cos, sin = self.cos[positions].unsqueeze(2), self.sin[positions].unsqueeze(2)
    x = self.embedding(tokens)
    for layer in self.layers:
      x = layer(x, cos, sin, mask)
    x = self.norm(x).reshape(-1, self.config.width)
    return F.linear(x if pick is None else x[pick], self.embedding.weight)
