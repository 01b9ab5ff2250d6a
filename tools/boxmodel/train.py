"""Trains the box model on fresh texts in every step; the texts of a step depend on the seed and its number only.

  python train.py --work DIR --steps 2600 --decay 700     (goes on from DIR/checkpoint.pt when that is there)

Muon for the matrices, AdamW for embedding and norms; the rate rises over 50 steps, stays, and falls linearly to zero
over the last --decay steps. Loss and rate go to DIR/loss.csv.
"""
import argparse
import os
import random
import time

import torch
import torch.distributed as dist
import torch.nn.functional as F

from corpus import segments
from model import Config, Llama
from tokenizer import Tokenizer

BOS = 0  # <|endoftext|>
STORY = 400  # a longer answer is a story
# Stories have most of the words and would drown the short answers. They teach the language first; from this step on
# fewer of them come, and their words count less.
SHORT_ANSWERS_FROM = 650
STORY_KEPT, STORY_WEIGHT = 0.45, 0.4


def chosen_segments(rng, late):
  while True:
    part = segments(rng)
    if not late:
      return part
    if not any(len(text) > STORY for text, w in part if w == 1) or rng.random() < STORY_KEPT:
      return [(text, STORY_WEIGHT if w == 1 and len(text) > STORY else w) for text, w in part]


def encode_text(tokenizer, rng, limit, long, late):
  """(ids, weights), the weight of an id being that of predicting it. A long text is several dialogues in one."""
  ids, weights = [], []
  if rng.random() < 0.3:
    ids, weights = [BOS], [0.0]
  while True:
    part = chosen_segments(rng, late)
    more = [(i, w) for text, w in part for i in tokenizer.encode(text) for w in (w,)]
    if len(ids) + len(more) > limit:
      return (ids, weights) if len(ids) > 1 else encode_text(tokenizer, rng, limit, long, late)
    ids += [i for i, _ in more]
    weights += [w for _, w in more]
    if not long or part[-1][0].endswith("<|endoftext|>"):
      return ids, weights


def batch(tokenizer, seed, rows, length, long_share, late):
  """Texts packed into rows: tokens, positions, mask, indices to predict at, targets, weights."""
  rng = random.Random(seed)
  bins = [[] for _ in range(rows)]
  room = [length] * rows
  misses = 0
  while misses < 4:
    text = encode_text(tokenizer, rng, length, rng.random() < long_share, late)
    fits = [r for r in range(rows) if room[r] >= len(text[0])]
    if not fits:
      misses += 1
      continue
    row = min(fits, key=lambda r: room[r])
    bins[row].append(text)
    room[row] -= len(text[0])
  tokens, positions = torch.zeros(rows, length, dtype=torch.long), torch.zeros(rows, length, dtype=torch.long)
  document = torch.full((rows, length), -1)
  pick, targets, weights = [], [], []
  for r, texts in enumerate(bins):
    at = 0
    for n, (ids, w) in enumerate(texts):
      end = at + len(ids)
      tokens[r, at:end], positions[r, at:end], document[r, at:end] = torch.tensor(ids), torch.arange(len(ids)), n
      for i in range(1, len(ids)):
        if w[i] > 0:
          pick.append(r * length + at + i - 1)
          targets.append(ids[i])
          weights.append(w[i])
      at = end
  mask = (document[:, :, None] == document[:, None, :]) & torch.ones(length, length, dtype=torch.bool).tril()
  return tokens, positions, mask[:, None], torch.tensor(pick), torch.tensor(targets), torch.tensor(weights)


def losses(model, data):
  """(weighted loss, loss where the assistant speaks)"""
  tokens, positions, mask, pick, targets, weights = data
  with torch.autocast("cpu", torch.bfloat16):
    logits = model(tokens, positions, mask, pick)
  each = F.cross_entropy(logits.float(), targets, reduction="none")
  return (each * weights).sum() / weights.sum(), each.detach()[weights >= STORY_WEIGHT].mean()


def rate(step, args):
  return min(1, (step + 1) / 50, (args.steps - step) / args.decay)


def save(model, optimizers, step, path):
  torch.save({"model": model.state_dict(), "optimizers": [o.state_dict() for o in optimizers], "step": step}, path + ".new")
  os.replace(path + ".new", path)


def train(rank, args):
  """One of args.processes that share a step: each works through its own rows, gradients are averaged. On busy cores
  that waits once a step, where threads inside of one process wait at each operation."""
  torch.set_num_threads(1)
  dist.init_process_group("gloo", init_method=f"file://{args.work}/rendezvous", rank=rank, world_size=args.processes)
  torch.manual_seed(args.seed)
  tokenizer = Tokenizer.load(f"{args.work}/tokenizer.json")
  model = Llama(Config(vocab=len(tokenizer.tokens)))
  matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and not n.startswith("embedding")]
  others = [p for n, p in model.named_parameters() if p.ndim != 2 or n.startswith("embedding")]
  optimizers = [torch.optim.Muon(matrices, lr=3e-3, weight_decay=0.05, adjust_lr_fn="match_rms_adamw"),
                torch.optim.AdamW(others, lr=3e-3, betas=(0.9, 0.95), weight_decay=0.0)]
  base = [o.param_groups[0]["lr"] for o in optimizers]
  path, start = f"{args.work}/checkpoint.pt", 0
  if os.path.exists(path):
    state = torch.load(path, weights_only=True)
    model.load_state_dict(state["model"])
    for o, s in zip(optimizers, state["optimizers"]):
      o.load_state_dict(s)
    for o, lr in zip(optimizers, base):
      o.param_groups[0]["lr"] = lr
    start = state["step"]
  rows = args.rows // args.processes
  long_from = args.steps - args.decay if args.long_from is None else args.long_from
  check = [batch(tokenizer, f"validation {args.seed} {rank}", 8, 512, 0.1, late) for late in (False, True)]
  log = Log(args, start) if rank == 0 else None
  recent = []
  for step in range(start, args.steps):
    long = step >= long_from and step % 2 == 0
    data = batch(tokenizer, f"train {args.seed} {step} {rank}", rows // 2 if long else rows, 1024 if long else 512,
                 0.6 if long else 0.1, step >= SHORT_ANSWERS_FROM)
    for o, lr in zip(optimizers, base):
      o.param_groups[0]["lr"] = lr * rate(step, args)
    loss, spoken = losses(model, data)
    loss.backward()
    flat = torch.cat([p.grad.reshape(-1) for p in model.parameters()])
    dist.all_reduce(flat)
    flat *= min(1.0, 1.0 / (flat.norm().item() / args.processes + 1e-6)) / args.processes
    at = 0
    for p in model.parameters():
      p.grad.copy_(flat[at:at + p.numel()].view_as(p))
      at += p.numel()
    for o in optimizers:
      o.step()
      o.zero_grad(set_to_none=True)
    recent = recent[-49:] + [spoken]
    if (step + 1) % 50 == 0 or step + 1 == args.steps:
      with torch.no_grad():
        figures = torch.stack([torch.stack(recent).mean(), losses(model, check[step >= SHORT_ANSWERS_FROM])[1]])
      dist.all_reduce(figures)
      if log:
        log.row(step + 1, *(figures / args.processes).tolist(), rate(step, args))
        save(model, optimizers, step + 1, path)
  dist.destroy_process_group()


class Log:
  def __init__(self, args, start):
    self.tokens, self.begin = args.rows * 512, time.time()
    self.file = open(f"{args.work}/loss.csv", "a")
    if start == 0:
      self.file.write("step,tokens,train_loss,validation_loss,rate,seconds\n")

  def row(self, step, loss, validation, rate):
    text = f"{step},{step * self.tokens},{loss:.4f},{validation:.4f},{rate:.3f},{time.time() - self.begin:.0f}"
    print(text, flush=True)
    self.file.write(text + "\n")
    self.file.flush()


def main():
  parser = argparse.ArgumentParser()
  parser.add_argument("--work", required=True)
  parser.add_argument("--steps", type=int, default=2600)
  parser.add_argument("--decay", type=int, default=700)
  parser.add_argument("--rows", type=int, default=8, help="of 512 tokens, in a step")
  parser.add_argument("--seed", type=int, default=1)
  parser.add_argument("--processes", type=int, default=2)
  parser.add_argument("--long-from", type=int, default=None, help="step from which half of the batches are 1024 long")
  args = parser.parse_args()
  args.work = os.path.abspath(args.work)
  if os.path.exists(f"{args.work}/rendezvous"):
    os.remove(f"{args.work}/rendezvous")
  torch.multiprocessing.spawn(train, (args,), args.processes)


if __name__ == "__main__":
  main()
