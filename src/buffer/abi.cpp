/// \file
/// The functions of buffer_abi.hpp.
#include "buffer/buffer.hpp"
#include "core/run.hpp"
#include "core/store_state.hpp"

#include <snkv/detail/buffer_abi.hpp>

#include <memory>
#include <string>
#include <system_error>

namespace snkv::core {
namespace {

/// Runs `body(buffer)`.
template <class Body>
Error with_buffer(const char* operation, const Target& target, Body&& body) {
  const Target kept = target;  // a function of the caller may end the handle
  return guarded(operation, kept, [&]() -> Error {
    Overlay* const over = overlay_of(kept);
    if (over == nullptr) return Error(Errc::closed, operation, "the handle is empty");
    return body(static_cast<buffer::Buffer&>(*over));
  });
}

}  // namespace

Error open_buffer(const Target& store, const WriteBufferOptions& options, Target& out) {
  constexpr const char* operation = "open write buffer";
  return guarded(operation, store, [&]() -> Error {
    if (store.scope != nullptr) {
      return Error(Errc::invalid_argument, operation,
                   "a store is needed, not a transaction or snapshot");
    }
    auto made = std::make_shared<buffer::Buffer>(store, options);
    try {
      if (Error error = made->open(); error.failed()) return error;
    } catch (const std::system_error&) {
      return Error(Errc::no_memory, operation, "no thread can be started");
    }
    out = {store.store, store.family, std::move(made)};
    return {};
  });
}

Error buffer_flush(const Target& target) {
  return with_buffer("flush", target, [](buffer::Buffer& b) { return b.flush(); });
}

Error buffer_close(const Target& target) {
  return with_buffer("close", target, [](buffer::Buffer& b) { return b.close(); });
}

Error buffer_stats(const Target& target, WriteBufferStats& out) {
  return with_buffer("stats", target, [&](buffer::Buffer& b) { return b.stats(out); });
}

Error buffer_family(const Target& target, const Target& family, Target& out) {
  constexpr const char* operation = "family";
  return with_buffer(operation, target, [&](buffer::Buffer& b) -> Error {
    if (Error error = b.check(operation); error.failed()) return error;
    if (family.store != target.store || family.family == nullptr) {
      return Error(Errc::invalid_argument, operation, "a family of another store");
    }
    if (family.scope != nullptr && family.scope != target.scope) {
      return Error(Errc::invalid_argument, operation,
                   "a family of a transaction, a snapshot or another buffer");
    }
    out = {target.store, family.family, target.scope};
    return {};
  });
}

Error drop_journal(const Target& store, std::string_view name) {
  constexpr const char* operation = "drop journal";
  return guarded(operation, store, [&]() -> Error {
    bool exists = false;
    const Target under{store.store, store.family, {}};
    if (Error error = buffer::Journal::exists(under, name, exists); error.failed()) return error;
    if (!exists) return Error(Errc::not_found, operation, std::string(name));
    struct Registered {
      OpenBuffers& all;
      std::string_view name;
      bool is_in;
      ~Registered() {
        if (is_in) all.remove(name);
      }
    } const registered{store.store->buffers, name, store.store->buffers.add(name)};
    if (!registered.is_in) return Error(Errc::busy, operation, std::string(name) + " has an owner");
    buffer::Journal journal(under, std::string(name), {});
    if (Error error = journal.open(operation); error.failed()) return error;
    return journal.drop(operation);
  });
}

}  // namespace snkv::core
