# Target `webgpu`: the standard webgpu.h and a library that implements it. WEBGPU_ROOT names a folder that holds them;
# by default wgpu-native as tools/setup.sh unpacked it. PRONK_WGPU is defined where wgpu.h lies beside webgpu.h.
set(WEBGPU_ROOT "${PROJECT_SOURCE_DIR}/build/deps/wgpu" CACHE PATH
  "Folder with webgpu.h (or include/webgpu/webgpu.h) and its library")

# A found path of another WEBGPU_ROOT must not outlive it.
if(NOT "${PRONK_WEBGPU_ROOT_SEEN}" STREQUAL "${WEBGPU_ROOT}")
  unset(WEBGPU_INCLUDE CACHE)
  unset(WEBGPU_LIBRARY CACHE)
  set(PRONK_WEBGPU_ROOT_SEEN "${WEBGPU_ROOT}" CACHE INTERNAL "")
endif()
find_path(WEBGPU_INCLUDE webgpu.h PATHS "${WEBGPU_ROOT}" PATH_SUFFIXES include/webgpu include NO_DEFAULT_PATH)
find_library(WEBGPU_LIBRARY NAMES wgpu_native-release wgpu_native webgpu_dawn dawn webgpu
  PATHS "${WEBGPU_ROOT}" PATH_SUFFIXES lib lib64 NO_DEFAULT_PATH)
if(NOT WEBGPU_INCLUDE OR NOT WEBGPU_LIBRARY)
  message(FATAL_ERROR
    "no webgpu.h and library under ${WEBGPU_ROOT}: run tools/setup.sh, or name another folder with -DWEBGPU_ROOT=")
endif()

get_filename_component(webgpu_extension "${WEBGPU_LIBRARY}" LAST_EXT)
if(webgpu_extension STREQUAL ".a")
  add_library(webgpu STATIC IMPORTED)
  set_target_properties(webgpu PROPERTIES INTERFACE_LINK_LIBRARIES "dl;pthread;m")
else()
  add_library(webgpu SHARED IMPORTED)
  # wgpu-native's library carries no SONAME: linked by its path, it would be looked for at that path when run.
  set_target_properties(webgpu PROPERTIES IMPORTED_NO_SONAME TRUE)
endif()
set_target_properties(webgpu PROPERTIES
  IMPORTED_LOCATION "${WEBGPU_LIBRARY}"
  INTERFACE_INCLUDE_DIRECTORIES "${WEBGPU_INCLUDE}")
if(EXISTS "${WEBGPU_INCLUDE}/wgpu.h")
  set_target_properties(webgpu PROPERTIES INTERFACE_COMPILE_DEFINITIONS PRONK_WGPU)
endif()
