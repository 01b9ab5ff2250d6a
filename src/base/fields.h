// One declaration of a plain struct from which its fields can be walked by name: PRONK_STRUCT(Name, (u32, a), (float,
// b)) declares struct Name { u32 a{}; float b{}; } with each_field(f), which calls f("a", a) and so on.
#pragma once

#define PRONK_PARENS ()
#define PRONK_EXPAND(...) PRONK_EXPAND3(PRONK_EXPAND3(PRONK_EXPAND3(__VA_ARGS__)))
#define PRONK_EXPAND3(...) PRONK_EXPAND2(PRONK_EXPAND2(PRONK_EXPAND2(__VA_ARGS__)))
#define PRONK_EXPAND2(...) PRONK_EXPAND1(PRONK_EXPAND1(PRONK_EXPAND1(__VA_ARGS__)))
#define PRONK_EXPAND1(...) __VA_ARGS__
#define PRONK_EACH(macro, ...) __VA_OPT__(PRONK_EXPAND(PRONK_EACH_(macro, __VA_ARGS__)))
#define PRONK_EACH_(macro, first, ...) macro first __VA_OPT__(PRONK_EACH_AGAIN PRONK_PARENS(macro, __VA_ARGS__))
#define PRONK_EACH_AGAIN() PRONK_EACH_

#define PRONK_FIELD(type, name) type name{};
#define PRONK_VISIT(type, name) visit(#name, name);

#define PRONK_STRUCT(Name, ...)                      \
  struct Name {                                      \
    PRONK_EACH(PRONK_FIELD, __VA_ARGS__)             \
    template <class Visit>                           \
    constexpr void each_field(Visit&& visit) const { \
      PRONK_EACH(PRONK_VISIT, __VA_ARGS__)           \
    }                                                \
  }
