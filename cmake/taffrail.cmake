# The rules every folder builds by. A folder is one library; its files are found, not listed, so that
# adding a file is adding a file.

set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()
# Asserts (CHECK) are the product's own and stay on everywhere; NDEBUG only governs DCHECK.
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -g1 -DNDEBUG")
set(CMAKE_CXX_FLAGS_DEBUG "-O0 -g1")

find_program(CCACHE ccache)
if(CCACHE)
  # Normalised paths: a second clone of the tree hits what the first one compiled.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${PROJECT_SOURCE_DIR}
      CCACHE_NOHASHDIR=1 CCACHE_SLOPPINESS=pch_defines,time_macros ${CCACHE})
endif()

add_library(taffrail_flags INTERFACE)
target_compile_options(taffrail_flags INTERFACE
  -Wall -Wextra -Werror -Wshadow -Wnon-virtual-dtor -Wundef
  -ffp-contract=off -fno-omit-frame-pointer -ffile-prefix-map=${PROJECT_SOURCE_DIR}/=)
target_include_directories(taffrail_flags INTERFACE ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/src)
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  # TRY() is a statement expression, which both compilers have and neither standard does.
  target_compile_options(taffrail_flags INTERFACE -Wno-gnu-statement-expression -Wthread-safety)
else()
  # g++ 12 reports the first two inside the standard library (PR 105562, 105651), and the third for
  # every intrusive list whose nodes live on the stack that waits in it.
  target_compile_options(taffrail_flags INTERFACE -Wno-maybe-uninitialized -Wno-restrict -Wno-dangling-pointer)
endif()
if(TAFFRAIL_SANITIZE)
  target_compile_options(taffrail_flags INTERFACE -fsanitize=${TAFFRAIL_SANITIZE} -fno-sanitize-recover=all)
  target_link_options(taffrail_flags INTERFACE -fsanitize=${TAFFRAIL_SANITIZE})
endif()
if(TAFFRAIL_PLANTS)
  target_compile_definitions(taffrail_flags INTERFACE TAFFRAIL_PLANTS=1)
endif()
find_program(MOLD mold)
if(MOLD)
  target_link_options(taffrail_flags INTERFACE -fuse-ld=mold)
endif()

# Third parties by the name the folders ask for them.
find_package(Threads REQUIRED)
find_package(fmt REQUIRED)
set(taffrail_use_fmt fmt::fmt)
set(taffrail_use_threads Threads::Threads)
set(taffrail_use_boost_context boost_context)
set(taffrail_use_compression zstd lz4 snappy z)
set(taffrail_use_re2 re2)
set(taffrail_use_xxhash)    # A header.
set(taffrail_use_json)      # nlohmann/json, toml++ and CLI11 are headers.
set(taffrail_use_toml)
set(taffrail_use_cli11)
set(taffrail_use_spdlog spdlog fmt::fmt)

# taffrail_library(name folder NEEDS lib... USES third-party...)
function(taffrail_library name folder)
  cmake_parse_arguments(ARG "" "" "NEEDS;USES" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${folder}/*.cc
       ${PROJECT_SOURCE_DIR}/${folder}/*/*.cc)
  file(GLOB headers CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${folder}/*.h
       ${PROJECT_SOURCE_DIR}/${folder}/*/*.h)
  set(scope PUBLIC)
  if(sources)
    add_library(${name} STATIC ${sources})
    target_compile_options(${name} PRIVATE $<TARGET_PROPERTY:taffrail_flags,INTERFACE_COMPILE_OPTIONS>)
  else()
    add_library(${name} INTERFACE)
    set(scope INTERFACE)
  endif()
  target_link_libraries(${name} ${scope} taffrail_flags ${ARG_NEEDS})
  foreach(use ${ARG_USES})
    target_link_libraries(${name} ${scope} ${taffrail_use_${use}})
  endforeach()
  if(headers)
    target_sources(${name} ${scope} FILE_SET HEADERS BASE_DIRS ${PROJECT_SOURCE_DIR} FILES ${headers})
    set_target_properties(${name} PROPERTIES VERIFY_INTERFACE_HEADER_SETS ON)
  endif()
endfunction()

function(taffrail_main name source)
  cmake_parse_arguments(ARG "" "" "NEEDS" ${ARGN})
  if(EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/${source})
    add_executable(${name} ${source})
    target_link_libraries(${name} PRIVATE ${ARG_NEEDS})
  endif()
endfunction()

# taffrail_tests(module NEEDS lib...): one executable from tests/<module>/*_{test,prop,sim}.cc.
function(taffrail_tests module)
  cmake_parse_arguments(ARG "" "TIMEOUT" "NEEDS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/${module}/*_test.cc
       ${PROJECT_SOURCE_DIR}/tests/${module}/*_prop.cc ${PROJECT_SOURCE_DIR}/tests/${module}/*_sim.cc
       ${PROJECT_SOURCE_DIR}/tests/${module}/support/*.cc)
  if(NOT sources)
    return()
  endif()
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 600)
  endif()
  add_executable(${module}_tests ${sources})
  if(TAFFRAIL_PLANTS)  # With a main that takes --plant=ID.
    target_sources(${module}_tests PRIVATE ${PROJECT_BINARY_DIR}/tests/planted_main.cc)
    target_link_libraries(${module}_tests PRIVATE ${ARG_NEEDS} tree_paths rapidcheck gmock gtest base)
  else()
    target_link_libraries(${module}_tests PRIVATE ${ARG_NEEDS} tree_paths rapidcheck gmock gtest gtest_main)
  endif()
  target_include_directories(${module}_tests PRIVATE ${PROJECT_SOURCE_DIR}/tests)
  add_test(NAME ${module} COMMAND ${module}_tests --gtest_brief=1)
  set_tests_properties(${module} PROPERTIES TIMEOUT ${ARG_TIMEOUT})
endfunction()
