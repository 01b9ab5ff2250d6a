"""Loss of a checkpoint on texts it was trained on and on texts of other seeds: python compare_losses.py --work DIR"""
import argparse

import torch

from model import Config, Llama
from tokenizer import Tokenizer
from train import batch, losses

parser = argparse.ArgumentParser()
parser.add_argument("--work", required=True)
parser.add_argument("--batches", type=int, default=16)
args = parser.parse_args()
tokenizer = Tokenizer.load(f"{args.work}/tokenizer.json")
model = Llama(Config(vocab=len(tokenizer.tokens)))
state = torch.load(f"{args.work}/checkpoint.pt", weights_only=True)
model.load_state_dict(state["model"])
torch.set_num_threads(1)
last = state["step"] - 1 - state["step"] % 2  # an odd step has rows of 512, as validation has
with torch.no_grad():
  for name, seeds in (("trained on", [f"train 1 {last - 2 * (i // 2)} {i % 2}" for i in range(args.batches)]),
                      ("not trained on", [f"other 1 {i}" for i in range(args.batches)])):
    values = [losses(model, batch(tokenizer, seed, 4, 512, 0.1, True))[1].item() for seed in seeds]
    print(f"{name}: {sum(values) / len(values):.4f}")
