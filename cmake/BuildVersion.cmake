# Says in `OUTPUT`, a source file made from `TEMPLATE`, what was built: VERSION+COMMIT, with "-dirty"
# when tracked files were changed since; outside git (a tarball) a digest of the sources takes the
# commit's place. Run at every build (common/base/CMakeLists.txt); the file is written only when
# something else is to stand in it, so that nothing is compiled again for nothing.
#
#   cmake -DVERSION=0.1.0 -DSOURCE=DIR -DTEMPLATE=FILE.in -DOUTPUT=FILE -P BuildVersion.cmake

# Sets `result` to the commit, or to nothing. A tarball that was unpacked within a repository of
# something else is not at the top of that one.
function(_reflux_commit result)
  set(${result} "" PARENT_SCOPE)
  find_program(GIT_PROGRAM git)
  if(NOT GIT_PROGRAM)
    return()
  endif()
  set(ENV{GIT_OPTIONAL_LOCKS} 0)  # never in the way of somebody's git
  execute_process(COMMAND ${GIT_PROGRAM} -C ${SOURCE} rev-parse --show-prefix
    OUTPUT_VARIABLE prefix ERROR_QUIET RESULT_VARIABLE failed OUTPUT_STRIP_TRAILING_WHITESPACE)
  if(failed OR NOT prefix STREQUAL "")
    return()
  endif()
  execute_process(
    COMMAND ${GIT_PROGRAM} -C ${SOURCE} describe --always --dirty --abbrev=12 --exclude=*
    OUTPUT_VARIABLE commit ERROR_QUIET RESULT_VARIABLE failed OUTPUT_STRIP_TRAILING_WHITESPACE)
  if(NOT failed)
    set(${result} "${commit}" PARENT_SCOPE)
  endif()
endfunction()

# The first digits of a digest over names and contents of what is compiled.
function(_reflux_source_digest result)
  set(patterns "")
  foreach(folder proto common distill job_plan cache teacher_server student_worker planner orchestrator cli)
    foreach(kind cc h in proto txt yaml)
      list(APPEND patterns ${SOURCE}/${folder}/*.${kind})
    endforeach()
  endforeach()
  file(GLOB_RECURSE files RELATIVE ${SOURCE} LIST_DIRECTORIES false ${patterns})
  list(SORT files)
  set(contents "")
  foreach(name IN LISTS files)
    file(SHA256 ${SOURCE}/${name} digest)
    string(APPEND contents "${name} ${digest}\n")
  endforeach()
  string(SHA256 digest "${contents}")
  string(SUBSTRING ${digest} 0 12 digest)
  set(${result} "sources-${digest}" PARENT_SCOPE)
endfunction()

_reflux_commit(identity)
if(identity STREQUAL "")
  _reflux_source_digest(identity)
endif()
set(BUILD_VERSION "${VERSION}+${identity}")
configure_file(${TEMPLATE} ${OUTPUT} @ONLY)
