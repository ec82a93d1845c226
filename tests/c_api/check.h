/* What the tests in C share. */
#ifndef SNKV_TESTS_C_API_CHECK_H
#define SNKV_TESTS_C_API_CHECK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int check_failures = 0;

/* The condition holds, or the test fails at its end. */
#define CHECK(...)                                                               \
  do {                                                                           \
    if (!(__VA_ARGS__)) {                                                        \
      fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #__VA_ARGS__); \
      ++check_failures;                                                          \
    }                                                                            \
  } while (0)

/* The call gives this code. */
#define GIVES(code, ...)                                                            \
  do {                                                                              \
    const int check_code = (__VA_ARGS__);                                           \
    if (check_code != (code)) {                                                     \
      fprintf(stderr, "%s:%d: gives %d, not %s: %s\n", __FILE__, __LINE__, check_code, \
              #code, #__VA_ARGS__);                                                 \
      ++check_failures;                                                             \
    }                                                                               \
  } while (0)

#define OK(...) GIVES(KVSTORE_OK, __VA_ARGS__)

/* The value is this text. */
#define IS_TEXT(text, value, size) \
  CHECK((size) == (int)strlen(text) && memcmp((value), (text), strlen(text)) == 0)

#endif
