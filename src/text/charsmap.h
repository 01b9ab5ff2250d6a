// The normalizer of a SentencePiece model (`tokenizer.ggml.precompiled_charsmap`): a map from character sequences to
// what stands in their place. Layout: u32 bytes of a double array, the double array (Kanda et al. 2017, as darts-clone
// writes it), then the replacements, each ended by a zero byte.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/types.h"
#include "files/metadata.h"

namespace pronk::text {

class Charsmap {
 public:
  // Fails when the parts do not fit the bytes, or when a replacement does not end or is longer than 255 bytes.
  Status load(std::string_view bytes, std::string_view key);
  Status load(const files::Array& bytes, std::string_view key);

  struct Match {
    u64 bytes = 0;  // of the text; 0: nothing is replaced
    std::string_view replacement{};
  };
  // The longest sequence in the map that the text begins with. What a damaged map points to outside of itself is not
  // in the map.
  Match longest(std::string_view text) const;

  u64 memory_bytes() const { return units_.capacity() * sizeof(u32) + replacements_.capacity(); }

 private:
  std::vector<u32> units_;
  std::string replacements_;
};

}  // namespace pronk::text
