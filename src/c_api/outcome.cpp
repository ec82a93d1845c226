#include "c_api/outcome.hpp"

#include <cstdlib>
#include <cstring>

namespace snkv::c_api {
namespace {

thread_local std::string open_message;

}  // namespace

int code_of(const Error& error) noexcept {
  switch (error.code()) {
    case Errc::ok:
      return KVSTORE_OK;
    case Errc::busy:
      return KVSTORE_BUSY;
    case Errc::locked:
      return KVSTORE_LOCKED;
    case Errc::no_memory:
      return KVSTORE_NOMEM;
    case Errc::read_only:
      return KVSTORE_READONLY;
    case Errc::aborted:
      return KVSTORE_INTERRUPT;
    case Errc::corrupt:
    case Errc::tampered:
    case Errc::log_mismatch:
      return KVSTORE_CORRUPT;
    case Errc::not_found:
      return KVSTORE_NOTFOUND;
    case Errc::auth_failed:
      return KVSTORE_AUTH_FAILED;
    case Errc::protocol:
      return KVSTORE_PROTOCOL;
    default:
      return KVSTORE_ERROR;
  }
}

int failed_to_open(const Error& error) noexcept {
  try {
    open_message = error.message();
  } catch (...) {
    open_message.clear();
  }
  return code_of(error);
}

const char* open_failure() noexcept {
  return open_message.empty() ? "no error" : open_message.c_str();
}

void* copy_out(BytesView bytes) noexcept {
  // One byte more, so that text ends with a NUL, and that there is a byte at all.
  void* copy = std::malloc(bytes.size() + 1);
  if (copy == nullptr) return nullptr;
  if (!bytes.empty()) std::memcpy(copy, bytes.data(), bytes.size());
  static_cast<char*>(copy)[bytes.size()] = '\0';
  return copy;
}

}  // namespace snkv::c_api

extern "C" {

void* snkv_malloc(size_t size) { return size == 0 ? nullptr : std::calloc(1, size); }

void snkv_free(void* memory) { std::free(memory); }

void* snkv_realloc(void* memory, size_t size) {
  if (size == 0) {
    std::free(memory);
    return nullptr;
  }
  return std::realloc(memory, size);
}

char* snkv_strdup(const char* string) {
  return static_cast<char*>(snkv::c_api::copy_out(string == nullptr ? "" : string));
}

}
