# pronk_embed_defaults(OUT): OUT is a generated C++ file that holds src/kernels/defaults.json for src/kernels/adapter_classes.h.
function(pronk_embed_defaults out)
  find_program(PRONK_PYTHON NAMES python3 REQUIRED NO_CMAKE_FIND_ROOT_PATH)
  set(json "${PROJECT_SOURCE_DIR}/src/kernels/defaults.json")
  set(generated "${PROJECT_BINARY_DIR}/generated/defaults.cpp")
  set(script "${PROJECT_SOURCE_DIR}/cmake/embed_defaults.py")
  add_custom_command(OUTPUT "${generated}"
    COMMAND "${PRONK_PYTHON}" "${script}" "${json}" "${generated}"
    DEPENDS "${script}" "${json}"
    COMMENT "Embedding choices for classes of adapters" VERBATIM)
  set(${out} "${generated}" PARENT_SCOPE)
endfunction()
