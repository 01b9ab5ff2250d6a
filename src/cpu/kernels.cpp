#include "cpu/kernels.h"

#include <cstdlib>

#include "base/quote.h"
#include "cpu/isa/all.h"

namespace pronk::cpu {
namespace {

// Activations, and for each block of them a scale, a sum and two half sums.
constexpr u64 floats_of(u64 quants) { return quants / quant_block * 4; }

u32 padded(u32 width) { return u32(align_up(width, unit_weights)); }

std::string_view wanted_name() {
  const char* name = std::getenv("PRONK_CPU_ISA");
  return name ? name : "";
}

const Kernels* find_kernels(std::string_view name) {
  for (const Kernels* kernels : available_kernels()) {
    if (kernels->name == name) return kernels;
  }
  return nullptr;
}

}  // namespace

QuantizedBuffer::QuantizedBuffer(u64 quants, u32 quant_bytes)
    : capacity_(quants), quants_(to_size(quants * quant_bytes)), floats_(to_size(floats_of(quants))) {}

u64 QuantizedBuffer::quants_of(u64 rows, u32 width) { return rows * padded(width); }

u64 QuantizedBuffer::bytes(u64 quants, u32 quant_bytes) {
  return quants * quant_bytes + floats_of(quants) * sizeof(float);
}

QuantizedRows QuantizedBuffer::rows(u32 count, u32 width) {
  CHECK(quants_of(count, width) <= capacity_ && width % quant_block == 0);
  QuantizedRows rows{.count = count, .width = width, .stride = padded(width)};
  const u64 blocks = u64(count) * rows.stride / quant_block;
  rows.quants = quants_.data();
  rows.scales = floats_.data();
  rows.sums = rows.scales + blocks;
  rows.half_sums = rows.sums + blocks;
  return rows;
}

std::span<const Kernels* const> available_kernels() {
  static const std::vector<const Kernels*> found = [] {
    std::vector<const Kernels*> kernels;
    for (const Kernels* candidate : compiled_kernels()) {
      if (candidate->runs_here()) kernels.push_back(candidate);
    }
    return kernels;
  }();
  return found;
}

const Kernels& best_kernels() {
  static const Kernels& best = [] -> const Kernels& {
    const Kernels* chosen = find_kernels(wanted_name());
    return chosen ? *chosen : *available_kernels().front();
  }();
  return best;
}

Status check_kernels_choice() {
  const std::string_view wanted = wanted_name();
  if (wanted.empty() || find_kernels(wanted)) return {};
  std::string names;
  for (const Kernels* kernels : available_kernels()) names += (names.empty() ? "" : ", ") + std::string(kernels->name);
  return fail(ErrorCode::bad_argument, "PRONK_CPU_ISA is " + quoted(wanted) + "; this machine has " + names);
}

}  // namespace pronk::cpu
