# Compiler, linker and warning settings shared by every target.
find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  # gcc's precompiled headers need these two to be cached at all.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env
      CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
      ${CCACHE_PROGRAM})
endif()
find_program(MOLD_PROGRAM mold)
if(MOLD_PROGRAM)
  add_link_options(-fuse-ld=mold)
endif()

# gRPC's targets bring -pthread; gcc refuses a precompiled header made without it.
add_compile_options(-pthread -Wall -Wextra -Werror -Wno-unused-parameter -Wno-missing-field-initializers
                    -fdiagnostics-color=auto)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # gcc 12 reports these inside its own standard library at -O2 (PR 105329, PR 105651).
  add_compile_options(-fpch-preprocess -Wno-restrict -Wno-maybe-uninitialized -Wno-stringop-overflow
                      -Wno-array-bounds -Wno-dangling-pointer)
  # gcc's collector finds little to free in less than 2 GB: without its runs a file compiles in four
  # fifths of the time, with 50 to 170 MB more.
  add_compile_options(--param=ggc-min-heapsize=2000000)
else()
  # The annotations of common/base/mutex.h. What is deprecated is the old buffer within gcc 12's own
  # std::stable_sort, which clang holds against whoever sorts; gcc tells of ours.
  add_compile_options(-Wthread-safety -Wno-deprecated-declarations)
endif()
if(REFLUX_SANITIZE)
  add_compile_options(-fsanitize=${REFLUX_SANITIZE} -fno-omit-frame-pointer -g1)
  add_link_options(-fsanitize=${REFLUX_SANITIZE})
  if(REFLUX_SANITIZE MATCHES "fuzzer")
    # What UBSan only prints is no finding of a fuzzer.
    add_compile_options(-fno-sanitize-recover=all)
  endif()
  if(REFLUX_SANITIZE STREQUAL "thread")
    # protobuf's maps have two more members where this is defined; Debian's library was built without.
    add_compile_options(-U__SANITIZE_THREAD__)
  endif()
endif()
include_directories(${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR})
