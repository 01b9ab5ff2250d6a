// What pronk knows of the models that Hugging Face's libraries write, by their model_type: tables only. A group of
// families is a file in families/ and a line in families.cpp.
#pragma once

#include <span>
#include <string_view>

namespace pronk::sources {

// Words of a text that are separated by white space, two by two: a name of theirs, then ours.
using Pairs = std::string_view;

// Which layers see a window of positions only.
enum class Windows : unsigned char {
  none,  // a window that is in use is an error
  all,
  some,   // as layer_types, sliding_window_pattern or else the architecture says
  after,  // all but the first of so many layers: the architecture has a number for that only
};

struct Family {
  std::string_view model_types;   // words
  std::string_view architecture;  // general.architecture
  std::string_view activations;   // words: names of the one that the architecture has
  std::string_view defaults;      // JSON: what its class has for keys that are missing
  Pairs names = {};               // of tensors, where they are not the common ones; "-": not needed; x+n: number n of x
  Pairs keys = {};                // of config.json, to those of GGUF after the architecture, besides the common ones
  Pairs aliases = {};             // common keys of config.json, and the names that it has for them
  Pairs computed = {};            // whole numbers that are missing, to sums of products of keys and numbers: a*4+b
  Pairs only = {};                // keys, and the one value that they may have
  Pairs made = {};                // of tensors of GGUF, to the rules that make them (assemble.h)
  Pairs variants = {};            // keys, and the model_type when they are 0, false or null; key=value: when it is that
  std::string_view quantization = {};  // a quant_method that its tensors have
  Pairs quantized_only = {};           // keys of its quantization_config, and the value that they must have
  std::string_view rope_types = {};    // words, besides those of all: mrope, proportional; alpha, a key of "dynamic"
  std::string_view recurrent = {};     // words: layer_types without attention, whose layers have no heads of keys
  Windows windows = Windows::none;
  unsigned first_position = 0;  // rows of its position embeddings that no text uses
  bool latent = false;          // keys and values come from a latent
  bool halves = false;          // its GGUF files have rows of q and k in another order
  bool norms_from_one = false;  // norm weights are added to 1
  bool encoder = false;         // no logits: hidden states are the result
};

const Family* find_family(std::string_view model_type);  // nullptr: pronk does not run such a model

// The second of the pair with that first; empty when there is none.
std::string_view find_pair(Pairs pairs, std::string_view first);
bool has_word(std::string_view words, std::string_view word);
// The first word, which is taken away; empty at the end.
std::string_view take_word(std::string_view& words);

// Groups of families.
extern const std::span<const Family> llama_families, layer_norm_families, gemma_families, encoder_families,
    expert_families, older_families, recurrent_families;

}  // namespace pronk::sources
