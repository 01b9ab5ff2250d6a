# The module pronk.wasm: everything that src/wasm exports with __attribute__((export_name)), and `memory`.
file(GLOB wasm_sources CONFIGURE_DEPENDS src/wasm/*.cpp)
add_executable(pronk-wasm ${wasm_sources})
set_target_properties(pronk-wasm PROPERTIES OUTPUT_NAME pronk SUFFIX .wasm)
target_link_libraries(pronk-wasm PRIVATE pronk)
target_compile_options(pronk-wasm PRIVATE -fno-exceptions)
target_compile_options(pronk PRIVATE -flto)
target_compile_options(pronk-wasm PRIVATE -flto)

# Only what calculates has to be fast: all else is small first.
file(GLOB_RECURSE small_sources src/engine/*.cpp src/files/*.cpp src/gpu/*.cpp src/graph/*.cpp src/kernels/*.cpp
  src/models/*.cpp src/text/*.cpp)
set_source_files_properties(${small_sources} PROPERTIES COMPILE_OPTIONS -Oz)

# 4294901760 is the most that a 32-bit memory may grow to: 4 GiB less one page.
target_link_options(pronk-wasm PRIVATE -mexec-model=reactor -flto -O2
  -Wl,--gc-sections -Wl,--strip-all -Wl,--max-memory=4294901760 -Wl,-z,stack-size=262144 -Wl,--stack-first)
