// One declaration of an enumeration from which its values can be walked by name: PRONK_ENUM(Color, u8, (red, 0),
// (blue, 5)) declares enum class Color : u8 { red = 0, blue = 5 }, and each_enumerator(Color{}, f) calls
// f("red", Color::red) and so on. PRONK_PLAIN_ENUM makes an unscoped one, whose values convert to numbers.
#pragma once

#include "base/fields.h"

#define PRONK_ENUMERATOR(name, value) name = value,
#define PRONK_VISIT_ENUMERATOR(name, value) visit(#name, Enum(value));

#define PRONK_ENUM(Name, Type, ...) PRONK_ENUM_(enum class, Name, Type, __VA_ARGS__)
#define PRONK_PLAIN_ENUM(Name, Type, ...) PRONK_ENUM_(enum, Name, Type, __VA_ARGS__)

#define PRONK_ENUM_(keyword, Name, Type, ...)                                 \
  keyword Name : Type{PRONK_EACH(PRONK_ENUMERATOR, __VA_ARGS__)};             \
  template <class Visit>                                                      \
  constexpr void each_enumerator([[maybe_unused]] Name type, Visit&& visit) { \
    using Enum = Name;                                                        \
    PRONK_EACH(PRONK_VISIT_ENUMERATOR, __VA_ARGS__)                           \
  }                                                                           \
  static_assert(true)
