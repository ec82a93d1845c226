#include "core/arguments.hpp"

#include "base/printable.hpp"

#include <fmt/format.h>
#include <limits>

namespace snkv::core {

Error expiry(const char* operation, const PutOptions& options, std::int64_t now,
             std::optional<std::int64_t>& out) {
  out.reset();
  if (options.ttl && options.expires_at) {
    return Error(Errc::invalid_argument, operation, "both ttl and expires_at are given");
  }
  if (options.expires_at) {
    out = options.expires_at->time_since_epoch().count();
    if (*out < 0) return Error(Errc::invalid_argument, operation, "expires_at is before 1970");
  }
  if (!options.ttl) return {};
  const std::int64_t ttl = options.ttl->count();
  if (ttl <= 0) return Error(Errc::invalid_argument, operation, "the ttl is not positive");
  if (ttl > std::numeric_limits<std::int64_t>::max() - now) {
    return Error(Errc::invalid_argument, operation, "the ttl is too long");
  }
  out = now + ttl;
  return {};
}

Error check_value_size(const char* operation, BytesView key, std::uint64_t size) {
  if (size <= max_value_size) return {};
  return Error(Errc::too_large, operation,
               fmt::format("the value of {} has {} bytes; at most {} are allowed",
                           base::printable(key), size, max_value_size));
}

Error check_value(const char* operation, BytesView key, BytesView value) {
  return check_value_size(operation, key, value.size());
}

}  // namespace snkv::core
