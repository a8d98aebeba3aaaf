# Builds the template plugin from the installed header and CMake package alone, and runs the conformance test on it.
file(REMOVE_RECURSE ${BUILD}/out_of_tree)
file(COPY ${TEMPLATE} DESTINATION ${BUILD}/out_of_tree)
function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE result)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "failed: ${ARGN}")
  endif()
endfunction()
run(${CMAKE_COMMAND} --install ${BUILD} --component sdk --prefix ${BUILD}/out_of_tree/installed)
run(${CMAKE_COMMAND} -S ${BUILD}/out_of_tree/template -B ${BUILD}/out_of_tree/build
    -D CMAKE_PREFIX_PATH=${BUILD}/out_of_tree/installed -D "CMAKE_C_FLAGS=-Wall -Wextra -Wpedantic -Werror")
run(${CMAKE_COMMAND} --build ${BUILD}/out_of_tree/build)
run(${CONFORMANCE} ${BUILD}/out_of_tree/build/hello.so)
