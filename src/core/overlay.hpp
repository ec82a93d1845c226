/// \file
/// A point of view of a layer above the core, through which handles read and write as through a
/// transaction: a write buffer in front of the store. The functions of core_abi.hpp hand it what
/// they are asked on a target that is bound to one.
#pragma once

#include "core/scope.hpp"

#include <snkv/detail/core_abi.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>

namespace snkv::core {

/// Which entries `Overlay::count` counts.
struct Counted {
  const KeyRange* range = nullptr;  ///< null: all
  bool live_only = false;           ///< leave out those that have expired
};

/// The functions check their own arguments and may throw `std::bad_alloc`. All threads may call
/// them.
class Overlay : public Scope {
 public:
  Overlay() noexcept : Scope(Kind::overlay) {}

  [[nodiscard]] virtual Error get(const char* operation, const Target& target, BytesView key,
                                  Bytes& value) = 0;
  [[nodiscard]] virtual Error contains(const Target& target, BytesView key, bool& found) = 0;
  [[nodiscard]] virtual Error ttl(const Target& target, BytesView key,
                                  std::optional<std::chrono::milliseconds>& remaining) = 0;
  [[nodiscard]] virtual Error multi_get(const Target& target, const BytesView* keys,
                                        std::size_t count, std::optional<Bytes>* values) = 0;
  [[nodiscard]] virtual Error count(const char* operation, const Target& target,
                                    const Counted& counted, std::uint64_t& entries) = 0;
  /// Never null; on failure a cursor whose status is the error.
  [[nodiscard]] virtual Cursor* open_cursor(const Target& target, KeyRange range,
                                            const ScanOptions& options) noexcept = 0;

  [[nodiscard]] virtual Error put(const Target& target, BytesView key, BytesView value,
                                  const PutOptions& options) = 0;
  [[nodiscard]] virtual Error erase(const Target& target, BytesView key,
                                    const WriteOptions& options, bool& existed) = 0;
  /// Erases the entries of a range; `erased` is their number. Null: nobody wants to know it.
  [[nodiscard]] virtual Error erase_range(const char* operation, const Target& target,
                                          const KeyRange& range, const WriteOptions& options,
                                          std::uint64_t* erased) = 0;
  [[nodiscard]] virtual Error set_expiry(const char* operation, const Target& target, BytesView key,
                                         const PutOptions& options) = 0;
  /// As the function of that name; with `keeps_expiry` an entry keeps its own unless `options` name
  /// one.
  [[nodiscard]] virtual Error update(const char* operation, const Target& target, BytesView key,
                                     const PutOptions& options, bool keeps_expiry,
                                     UpdateFunction decide, void* context) = 0;
  [[nodiscard]] virtual Error write_batch(const Target& target, BytesView batch,
                                          const WriteOptions& options) = 0;
};

/// The one that the target is bound to; null if there is none.
[[nodiscard]] inline Overlay* overlay_of(const Target& target) noexcept {
  if (target.scope == nullptr || target.scope->kind() != Scope::Kind::overlay) return nullptr;
  return static_cast<Overlay*>(target.scope.get());
}

/// What such a target cannot do.
[[nodiscard]] inline Error error_not_buffered(const char* operation) {
  return Error(Errc::invalid_argument, operation,
               "not through a write buffer: use the store itself");
}

}  // namespace snkv::core
