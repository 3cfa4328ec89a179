# cmake -D SOURCE=… -D SCRATCH=… -D LIBRARIES=… -D LAUNCHER=… -P build.cmake
# builds the programs with each of the compilers that there is, in SCRATCH/clang and SCRATCH/gcc.
cmake_minimum_required(VERSION 3.25)
find_program(clang clang++-19)
find_program(gcc g++)

function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE code OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(code)
    message(FATAL_ERROR "${output}")
  endif()
endfunction()

foreach(name clang gcc)
  if(${name})
    run(${CMAKE_COMMAND} -S ${SOURCE}/tests/ring0/instrumented -B ${SCRATCH}/${name} -G Ninja
      -D CMAKE_CXX_COMPILER=${${name}} -D CMAKE_CXX_COMPILER_LAUNCHER=${LAUNCHER} -D GUESTPROOF_SOURCE=${SOURCE}
      -D LIBRARIES=${LIBRARIES})
    run(${CMAKE_COMMAND} --build ${SCRATCH}/${name})
  else()
    message("skipped: there is no compiler for ${SCRATCH}/${name}")
    file(REMOVE_RECURSE ${SCRATCH}/${name})
  endif()
endforeach()
