# The build with AddressSanitizer, UndefinedBehaviorSanitizer and fuzz targets, and what makes it take less time.

# Headers that most files read are read once. The other builds compile each file by itself: there a missing include shows.
set(pronk_common_headers <algorithm> <cmath> <cstring> <functional> <map> <memory> <optional> <random> <span> <string>
  <string_view> <variant> <vector>)

# pronk_precompile(TARGET HEADER...): the common headers and these.
function(pronk_precompile target)
  if(PRONK_SANITIZE)
    target_precompile_headers(${target} PRIVATE ${pronk_common_headers} ${ARGN})
    target_compile_options(${target} PRIVATE "SHELL:-Xclang -fno-pch-timestamp")  # ccache goes by contents
  endif()
endfunction()

# pronk_precompile_test(TARGET): what all test programs read; the first of them compiles it.
function(pronk_precompile_test target)
  get_property(first GLOBAL PROPERTY PRONK_PRECOMPILED_TEST)
  if(PRONK_SANITIZE AND first)
    target_precompile_headers(${target} REUSE_FROM ${first})
    target_compile_options(${target} PRIVATE "SHELL:-Xclang -fno-pch-timestamp")
  else()
    pronk_precompile(${target} <gtest/gtest.h> <nlohmann/json.hpp>)
    set_property(GLOBAL PROPERTY PRONK_PRECOMPILED_TEST ${target})
  endif()
endfunction()

if(NOT PRONK_SANITIZE)
  return()
endif()
add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
add_link_options(-fsanitize=address,undefined -fno-sanitize-recover=all)

# Fuzz targets go by the branches that an input takes (those of -fsanitize=fuzzer-no-link) in what parses and plans.
set(pronk_coverage -fsanitize-coverage=inline-8bit-counters,indirect-calls,trace-cmp,pc-table)

# pronk_sanitized_sources(FILE...): how each of pronk's sources is compiled. What calculates is optimized; that needs its
# own reading of headers.
function(pronk_sanitized_sources)
  set(calculates ${ARGN})
  list(FILTER calculates INCLUDE REGEX "/src/(cpu|formats)/")
  set_property(SOURCE ${calculates} APPEND PROPERTY COMPILE_OPTIONS -O2)
  set_property(SOURCE ${calculates} PROPERTY SKIP_PRECOMPILE_HEADERS ON)
  set(fuzzed ${ARGN})
  list(FILTER fuzzed INCLUDE REGEX "/src/(base|convert|engine|files|graph|kernels|models|sources|text)/")
  set_property(SOURCE ${fuzzed} APPEND PROPERTY COMPILE_OPTIONS ${pronk_coverage})
endfunction()
