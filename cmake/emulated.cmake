# The kernels of another processor's instruction sets and their tests, which run under qemu: nothing else of pronk
# depends on the processor. GoogleTest comes from its sources, as Debian has no library for other processors.
find_program(QEMU "qemu-${CMAKE_SYSTEM_PROCESSOR}" REQUIRED)
find_path(GTEST_SOURCE src/gtest-all.cc PATHS /usr/src/googletest/googletest REQUIRED NO_CMAKE_FIND_ROOT_PATH)

file(GLOB base_sources CONFIGURE_DEPENDS src/base/*.cpp)
add_library(gtest STATIC "${GTEST_SOURCE}/src/gtest-all.cc" "${GTEST_SOURCE}/src/gtest_main.cc")
target_include_directories(gtest SYSTEM PUBLIC "${GTEST_SOURCE}/include" PRIVATE "${GTEST_SOURCE}")
target_compile_options(gtest PRIVATE -w)

add_executable(test_kernels tests/cpu/kernels_test.cpp tests/cpu/additive_products_test.cpp src/cpu/kernels.cpp src/files/ggml_types.cpp
  ${base_sources} ${format_sources} ${instruction_sets})
target_include_directories(test_kernels PRIVATE src tests "${dots}")
target_link_libraries(test_kernels PRIVATE gtest)

# emulated_test(NAME PROCESSOR FILTER): those tests on a processor that qemu knows.
function(emulated_test name processor filter)
  add_test(NAME "kernels.${name}" COMMAND "${QEMU}" -cpu "${processor}" "$<TARGET_FILE:test_kernels>" "--gtest_filter=${filter}")
  set_tests_properties("kernels.${name}" PROPERTIES TIMEOUT 1800
    ENVIRONMENT "GTEST_OUTPUT=xml:${PROJECT_BINARY_DIR}/test-results/kernels.${name}.xml;GTEST_COLOR=no")
endfunction()

enable_testing()
emulated_test(max max "*/neon:BestKernels.*")
# Without the dot product: an instruction that is not there would end the program.
emulated_test(no_dotprod cortex-a72 "*.NotFiniteStaysNotFinite/*:BestKernels.*")
