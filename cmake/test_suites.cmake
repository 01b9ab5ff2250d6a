# Read by ctest, with `program`, `folder`, `results`, `source_dir`, `timeout` and `left_out` set: one entry for each
# GoogleTest suite of a program but those left out, so that tests of a suite share what it sets up (a GPU device, a model).
if(NOT EXISTS "${program}")
  add_test("${folder}_NOT_BUILT" "${program}")
  return()
endif()
execute_process(COMMAND "${program}" --gtest_list_tests OUTPUT_VARIABLE listing RESULT_VARIABLE failed TIMEOUT 60)
if(failed)
  add_test("${folder}_CANNOT_LIST" "${program}" --gtest_list_tests)
  return()
endif()
string(REGEX REPLACE "[ \t]*#[^\n]*" "" listing "${listing}")
string(REGEX MATCHALL "(^|\n)[^ \n]+\\.(\n|$)" suites "${listing}")
foreach(suite IN LISTS suites)
  string(STRIP "${suite}" suite)
  string(REGEX REPLACE "\\.$" "" suite "${suite}")
  list(FIND left_out "${folder}.${suite}" found)
  if(NOT found EQUAL -1)
    continue()
  endif()
  string(REPLACE "/" "_" file_name "${folder}.${suite}")
  add_test("${folder}.${suite}" "${program}" "--gtest_filter=${suite}.*")
  set_tests_properties("${folder}.${suite}" PROPERTIES
    TIMEOUT ${timeout}
    WORKING_DIRECTORY "${source_dir}"
    ENVIRONMENT "GTEST_OUTPUT=xml:${results}/${file_name}.xml;GTEST_COLOR=no")
endforeach()
