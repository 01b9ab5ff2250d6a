# pronk_version(OUT NAME): the value of NAME in versions.env.
function(pronk_version out name)
  file(STRINGS "${CMAKE_CURRENT_FUNCTION_LIST_DIR}/../versions.env" line REGEX "^${name}=")
  if(NOT line MATCHES "^${name}=\"([^\"]*)\"$")
    message(FATAL_ERROR "versions.env has no ${name}")
  endif()
  set(${out} "${CMAKE_MATCH_1}" PARENT_SCOPE)
endfunction()
