# The pinned clang and lld, building for this machine.
include("${CMAKE_CURRENT_LIST_DIR}/versions.cmake")
pronk_version(llvm LLVM_VERSION)
set(CMAKE_C_COMPILER "clang-${llvm}")
set(CMAKE_CXX_COMPILER "clang++-${llvm}")
set(linker_flags "-fuse-ld=/usr/bin/ld.lld-${llvm}")
set(CMAKE_EXE_LINKER_FLAGS_INIT "${linker_flags}")
