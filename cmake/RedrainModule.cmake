# Options every target of ours is compiled with.
add_library(rr_options INTERFACE)
target_compile_definitions(rr_options INTERFACE _GNU_SOURCE)
if(RR_FAILPOINTS)
  target_compile_definitions(rr_options INTERFACE RR_FAILPOINTS)
endif()
target_compile_options(rr_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla
  -fno-common -fstack-protector-strong)
if(RR_WERROR)
  target_compile_options(rr_options INTERFACE -Werror)
endif()
if(RR_SANITIZE)
  target_compile_options(rr_options INTERFACE -fsanitize=${RR_SANITIZE} -fno-omit-frame-pointer
    -fno-sanitize-recover=all)
  target_link_options(rr_options INTERFACE -fsanitize=${RR_SANITIZE})
endif()
if(RR_SANITIZE MATCHES thread)
  add_library(rr_tsan_threads SHARED ${CMAKE_SOURCE_DIR}/tests/tsan/c11_threads.c)
  target_compile_options(rr_tsan_threads PRIVATE -fsanitize=thread)
  target_link_options(rr_tsan_threads PRIVATE -fsanitize=thread)
  target_link_libraries(rr_options INTERFACE -Wl,--push-state,--no-as-needed rr_tsan_threads -Wl,--pop-state)
endif()
if(RR_COVERAGE)
  target_compile_options(rr_options INTERFACE --coverage -O0 -fprofile-update=atomic)
  target_link_options(rr_options INTERFACE --coverage)
endif()
set(CMAKE_C_EXTENSIONS OFF)

# rr_module(room SRCS a.c … DEPS protocol LIBS PkgConfig::X)
# A static library rr_<name> whose public headers live in <dir>/include/<name>/. Its own include root and those of
# DEPS are all a source of it can see: a wrong include does not compile. LIBS (third party) never leak to users.
function(rr_module name)
  cmake_parse_arguments(M "" "" "SRCS;DEPS;LIBS" ${ARGN})
  if(NOT M_SRCS)
    return()
  endif()
  add_library(rr_${name} STATIC ${M_SRCS})
  target_include_directories(rr_${name} PUBLIC ${CMAKE_CURRENT_SOURCE_DIR}/include
    PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
  list(TRANSFORM M_DEPS PREPEND rr_)
  target_link_libraries(rr_${name} PUBLIC ${M_DEPS} PRIVATE rr_options ${M_LIBS})
endfunction()

# rr_unit_test(test_split SRCS test_split.c DEPS rain): one cmocka binary, label "unit".
function(rr_unit_test name)
  cmake_parse_arguments(T "" "" "SRCS;DEPS;LIBS" ${ARGN})
  add_executable(${name} ${T_SRCS})
  list(TRANSFORM T_DEPS PREPEND rr_)
  target_link_libraries(${name} PRIVATE ${T_DEPS} rr_options PkgConfig::CMOCKA ${T_LIBS})
  target_compile_definitions(${name} PRIVATE RR_VECTORS_DIR="${PROJECT_SOURCE_DIR}/tests/vectors"
    RR_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  # cmocka's macros convert pointers to its integer type.
  target_compile_options(${name} PRIVATE -Wno-conversion -Wno-missing-prototypes -Wno-shadow)
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES LABELS unit TIMEOUT 120)
endfunction()
