// SHA-256 (FIPS 180-4), by OpenSSL.
#pragma once

#include <array>
#include <memory>
#include <span>
#include <string>

#include "base/types.h"

namespace pronk::cli {

using Digest = std::array<u8, 32>;

class Sha256 {
 public:
  Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;
  ~Sha256();

  void update(std::span<const u8> bytes);
  Digest finish();  // and starts anew

 private:
  struct State;
  std::unique_ptr<State> state_;
};

Digest sha256(std::span<const u8> bytes);
std::string hex(std::span<const u8> bytes);  // lower case

}  // namespace pronk::cli
