# One small target a unit: reflux_library, reflux_program, reflux_test.
#
#   reflux_library(name SOURCES a.cc ... DEPS x y [TORCH])
#   reflux_program(name SOURCES main.cc DEPS x y [TORCH])
#   reflux_test(name SOURCES a_test.cc ... DEPS x y LABELS unit [TORCH] [WHOLE] [SHARDS n])
#
# TORCH uses the precompiled torch header and is left out when REFLUX_TORCH is off. Test cases become
# one CTest entry each, unless WHOLE or TORCH (start-up dominates): then one entry a binary, or n with
# a share of its cases each.
function(_reflux_configure target)
  cmake_parse_arguments(ARG "TORCH" "" "DEPS" ${ARGN})
  get_target_property(type ${target} TYPE)
  if(type STREQUAL "STATIC_LIBRARY")
    set(visibility PUBLIC)
  else()
    set(visibility PRIVATE)
  endif()
  target_link_libraries(${target} ${visibility} Threads::Threads ${ARG_DEPS})
  if(ARG_TORCH)
    target_link_libraries(${target} ${visibility} reflux::torch)
    target_precompile_headers(${target} REUSE_FROM reflux_torch_pch)
  endif()
endfunction()

function(reflux_library name)
  cmake_parse_arguments(ARG "TORCH" "" "SOURCES;DEPS" ${ARGN})
  if(ARG_TORCH AND NOT REFLUX_TORCH)
    return()
  endif()
  add_library(${name} STATIC ${ARG_SOURCES})
  if(ARG_TORCH)
    _reflux_configure(${name} TORCH DEPS ${ARG_DEPS})
  else()
    _reflux_configure(${name} DEPS ${ARG_DEPS})
  endif()
endfunction()

function(reflux_program name)
  cmake_parse_arguments(ARG "TORCH" "" "SOURCES;DEPS" ${ARGN})
  if(ARG_TORCH AND NOT REFLUX_TORCH)
    return()
  endif()
  add_executable(${name} ${ARG_SOURCES})
  if(ARG_TORCH)
    _reflux_configure(${name} TORCH DEPS ${ARG_DEPS})
  else()
    _reflux_configure(${name} DEPS ${ARG_DEPS})
  endif()
endfunction()

# REFLUX_BIN: where e2e tests find the programs.
# OMP_*: tests run beside each other. OpenMP threads of one that wait for cores of the other, or
# spin while they wait, make minutes of seconds.
set(REFLUX_GPU_TEST_ENVIRONMENT "REFLUX_BIN=${CMAKE_BINARY_DIR}/bin;REFLUX_SOURCE=${CMAKE_SOURCE_DIR};OMP_NUM_THREADS=1;OMP_WAIT_POLICY=PASSIVE;TSAN_OPTIONS=ignore_noninstrumented_modules=1:suppressions=${CMAKE_SOURCE_DIR}/cmake/tsan_suppressions.txt")
# All but those labelled `gpu` see no GPU: they compare bits, and run ranks as threads, which on one GPU
# would wait for each other in its one thread of backward.
set(REFLUX_TEST_ENVIRONMENT "${REFLUX_GPU_TEST_ENVIRONMENT};CUDA_VISIBLE_DEVICES=")

function(reflux_test name)
  cmake_parse_arguments(ARG "TORCH;WHOLE" "TIMEOUT;SHARDS" "SOURCES;DEPS;LABELS" ${ARGN})
  if(ARG_TORCH AND NOT REFLUX_TORCH)
    return()
  endif()
  # A time-out ends a test that hangs; it is far above what a loaded machine needs.
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 600)
  endif()
  add_executable(${name} ${ARG_SOURCES})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  if(ARG_TORCH)
    _reflux_configure(${name} TORCH DEPS ${ARG_DEPS} GTest::gmock GTest::gtest_main)
  else()
    _reflux_configure(${name} DEPS ${ARG_DEPS} GTest::gmock GTest::gtest_main)
    # The code under test is optimised, its tests need not be: half their compile time.
    target_compile_options(${name} PRIVATE $<$<CONFIG:Release>:-O0>)
  endif()
  if(ARG_TORCH OR ARG_WHOLE)
    if(NOT ARG_SHARDS)
      set(ARG_SHARDS 1)
    endif()
    set(environment "${REFLUX_TEST_ENVIRONMENT}")
    if("gpu" IN_LIST ARG_LABELS)
      set(environment "${REFLUX_GPU_TEST_ENVIRONMENT}")
    endif()
    # The list of skipped cases ends the output: a list of failed ones would follow it, and CTest
    # calls a match skipped whatever the exit status.
    set(only_skipped "listed below:\n(\\[  SKIPPED \\][^\n]*\n)+$")
    # The longest begin first, or the last of them runs alone.
    set(cost 0)
    if("e2e" IN_LIST ARG_LABELS)
      set(cost 1000)
    endif()
    foreach(shard RANGE 1 ${ARG_SHARDS})
      set(test ${name})
      if(ARG_SHARDS GREATER 1)
        set(test ${name}_${shard}of${ARG_SHARDS})
      endif()
      math(EXPR index "${shard} - 1")
      add_test(NAME ${test} COMMAND ${name})
      set_tests_properties(${test} PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT ${ARG_TIMEOUT} COST ${cost}
        ENVIRONMENT "${environment};GTEST_TOTAL_SHARDS=${ARG_SHARDS};GTEST_SHARD_INDEX=${index}"
        SKIP_REGULAR_EXPRESSION "${only_skipped}")
    endforeach()
  else()
    gtest_discover_tests(${name} DISCOVERY_TIMEOUT 60
      PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT ${ARG_TIMEOUT})
    # Not as a property above: gtest_discover_tests keeps only the first of several variables.
    set(environment_file ${CMAKE_CURRENT_BINARY_DIR}/${name}_environment.cmake)
    file(WRITE ${environment_file}
      "if(${name}_TESTS)\n"
      "  set_tests_properties(\${${name}_TESTS} PROPERTIES ENVIRONMENT \"${REFLUX_TEST_ENVIRONMENT}\")\n"
      "endif()\n")
    set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES ${environment_file})
  endif()
endfunction()
include(GoogleTest)
