# pronk_embed_wgsl(OUT): OUT is a generated C++ file that holds every WGSL file for src/kernels/embedded.h.
function(pronk_embed_wgsl out)
  find_program(PRONK_PYTHON NAMES python3 REQUIRED NO_CMAKE_FIND_ROOT_PATH)
  file(GLOB_RECURSE kernels CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/src/kernels/*.wgsl")
  file(GLOB formats CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/src/formats/*.wgsl")
  set(generated "${PROJECT_BINARY_DIR}/generated/wgsl.cpp")
  set(script "${PROJECT_SOURCE_DIR}/cmake/embed_wgsl.py")
  add_custom_command(OUTPUT "${generated}"
    COMMAND "${PRONK_PYTHON}" "${script}" "${PROJECT_SOURCE_DIR}/src" "${generated}" ${kernels} ${formats}
    DEPENDS "${script}" ${kernels} ${formats}
    COMMENT "Embedding WGSL" VERBATIM)
  set(${out} "${generated}" PARENT_SCOPE)
endfunction()
