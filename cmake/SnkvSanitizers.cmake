# Instrumentation: SNKV_SANITIZE, SNKV_FUZZ and SNKV_COVERAGE. The flags hold for the whole directory tree,
# engine and tests included, because code that is only partly instrumented hides errors.

set(SNKV_TEST_ENVIRONMENT "")

if(SNKV_SANITIZE)
  string(REPLACE ";" "," _snkv_sanitize "${SNKV_SANITIZE}")
  add_compile_options(
    -fsanitize=${_snkv_sanitize} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${_snkv_sanitize})

  # Clang's runtime looks for a name that Debian does not install; without any symbolizer a report
  # has no source lines. g++'s runtime has its own.
  set(_snkv_symbolizer "")
  find_program(SNKV_SYMBOLIZER NAMES llvm-symbolizer-19 llvm-symbolizer addr2line)
  mark_as_advanced(SNKV_SYMBOLIZER)
  if(SNKV_SYMBOLIZER AND CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    set(_snkv_symbolizer ":external_symbolizer_path=${SNKV_SYMBOLIZER}")
  endif()

  string(CONCAT _snkv_asan
    "halt_on_error=1:detect_leaks=1:detect_stack_use_after_return=1"
    ":strict_string_checks=1:check_initialization_order=1")
  set(SNKV_TEST_ENVIRONMENT
    "ASAN_OPTIONS=${_snkv_asan}${_snkv_symbolizer}"
    "UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1${_snkv_symbolizer}"
    "TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1${_snkv_symbolizer}")
endif()

if(SNKV_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

if(SNKV_COVERAGE)
  # Only our own code: SQLite's coverage is not ours to measure.
  add_compile_options($<$<COMPILE_LANGUAGE:CXX>:--coverage>)
  add_link_options(--coverage)
endif()

# Bounds and iterator preconditions of the standard library, which keep its ABI.
set(_snkv_assertions $<CONFIG:Debug>)
if(SNKV_SANITIZE)
  set(_snkv_assertions 1)
endif()
add_compile_definitions(
  $<$<AND:$<COMPILE_LANGUAGE:CXX>,${_snkv_assertions}>:_GLIBCXX_ASSERTIONS>)
