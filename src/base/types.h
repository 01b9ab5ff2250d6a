// Short names for the integers that sizes, offsets and counts are made of.
#pragma once

#include <cstddef>
#include <cstdint>

namespace pronk {

using i8 = std::int8_t;
using i16 = std::int16_t;
using i32 = std::int32_t;
using i64 = std::int64_t;
using u8 = std::uint8_t;
using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;

constexpr u64 align_up(u64 value, u64 alignment) { return (value + alignment - 1) / alignment * alignment; }
constexpr u64 ceil_div(u64 value, u64 divisor) { return (value + divisor - 1) / divisor; }

}  // namespace pronk
