# Modules of the same sources; the host (web/src/runtime/module-choice.ts) takes one of these engines:
#   pronk.wasm          a GPU, or one thread with its own memory: runs wherever SIMD128 does
#   pronk-threads.wasm  the CPU alone, with threads over a shared memory: no kernel of a GPU is in it
#   pronk-relaxed.wasm  the same with relaxed SIMD, which engines have later than threads
# And, for whoever asks for them (pronk-ops: for the tests, in no package):
#   pronk-tune.wasm     loads no model: it measures one's kernels on a GPU
#   pronk-folder.wasm   makes a GGUF file of a folder
#   pronk-ops.wasm      tests the operations on a GPU
# Each exports what src/wasm exports with __attribute__((export_name)).

# Only what calculates has to be fast: all else is small first.
file(GLOB_RECURSE small_sources src/convert/*.cpp src/engine/*.cpp src/files/*.cpp src/gpu/*.cpp src/graph/*.cpp src/kernels/*.cpp
  src/models/*.cpp src/sources/*.cpp src/text/*.cpp src/wasm/*.cpp)
list(APPEND small_sources src/cpu/states.cpp src/cpu/executor.cpp src/cpu/sampler.cpp src/cpu/workspace.cpp)
set_source_files_properties(${small_sources} PROPERTIES COMPILE_OPTIONS -Oz)
# Codecs too, as products have code of their own (isa), but those that most models pass through on their way to a GPU.
set(small_codecs ${format_sources})
list(FILTER small_codecs EXCLUDE REGEX "/(f16|bf16|q8_0|q[45]_[01k]|q6_k)\\.cpp$")
set_property(SOURCE ${small_codecs} APPEND PROPERTY COMPILE_OPTIONS -Oz)

set(shared_memory -matomics)

pronk_library(pronk src/gpu/browser.cpp src/engine/gpu_backend.cpp)
pronk_library(pronk-shared src/engine/no_gpu.cpp)
target_compile_options(pronk PRIVATE -flto)
target_compile_options(pronk-shared PRIVATE -flto ${shared_memory})

# pronk_module(NAME LIBRARY FILE...): NAME.wasm of a library and the files that it lacks.
# 4294901760 is the most that a 32-bit memory may grow to: 4 GiB less one page.
# Without loop strength reduction (lsr) offsets stay in the loads, where WebAssembly has a place for them: 10 kB less, gzipped.
function(pronk_module name library)
  add_executable(${name}-wasm src/wasm/call.cpp src/wasm/libc_stubs.cpp ${ARGN})
  set_target_properties(${name}-wasm PROPERTIES OUTPUT_NAME ${name} SUFFIX .wasm)
  target_link_libraries(${name}-wasm PRIVATE ${library})
  target_include_directories(${name}-wasm PRIVATE "${dots}")
  target_compile_options(${name}-wasm PRIVATE -fno-exceptions -flto)
  target_link_options(${name}-wasm PRIVATE -mexec-model=reactor -flto -O2 -Wl,-mllvm,-disable-lsr
    -Wl,--gc-sections -Wl,--strip-all -Wl,--max-memory=4294901760 -Wl,-z,stack-size=262144 -Wl,--stack-first)
endfunction()

# pronk_shared_module(NAME FILE...): a module whose memory the host makes, for the instances of all its threads. Its
# first size stands in web/src/runtime/module-choice.ts too. wasi-libc is compiled without atomics: --no-check-features.
function(pronk_shared_module name)
  pronk_module(${name} pronk-shared ${engine_abi} src/cpu/pool_wasm_threads.cpp src/cpu/processors_wasm.cpp src/wasm/threads.cpp src/wasm/libc_threads.cpp ${ARGN})
  target_compile_options(${name}-wasm PRIVATE ${shared_memory})
  target_link_options(${name}-wasm PRIVATE -Wl,--shared-memory "SHELL:-Xlinker --import-memory=pronk,memory" -Wl,--export-memory
    -Wl,--initial-memory=4194304 -Wl,--no-check-features -Wl,--wrap=malloc -Wl,--export=__stack_pointer)
endfunction()

set(engine_abi src/wasm/model.cpp src/wasm/abi.cpp src/wasm/text_host.cpp)
pronk_module(pronk-folder pronk src/wasm/folder.cpp src/text/no_host.cpp)
pronk_module(pronk pronk ${engine_abi} src/wasm/tuning.cpp src/cpu/pool_wasm.cpp src/cpu/processors_wasm.cpp ${instruction_sets})
pronk_module(pronk-tune pronk src/wasm/model.cpp src/wasm/text_host.cpp src/wasm/tune.cpp src/wasm/tuning.cpp
  src/cpu/pool_wasm.cpp src/cpu/processors_wasm.cpp ${instruction_sets})
pronk_shared_module(pronk-threads ${instruction_sets})
pronk_shared_module(pronk-relaxed src/cpu/isa/all_wasm_relaxed.cpp src/cpu/isa/wasm_relaxed.cpp)
target_compile_options(pronk-relaxed-wasm PRIVATE -mrelaxed-simd)
pronk_module(pronk-ops pronk src/wasm/ops.cpp)
