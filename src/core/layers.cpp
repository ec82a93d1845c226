/// \file
/// The functions of core_abi.hpp for layers above the core.
#include "core/run.hpp"
#include "core/store_state.hpp"

#include <snkv/detail/core_abi.hpp>

#include <cstring>
#include <memory>

namespace snkv::core {

Error store_id(const Target& target, std::array<std::uint8_t, 16>& out) {
  constexpr const char* operation = "store_id";
  return guarded(operation, target, [&]() -> Error {
    Query* query = nullptr;
    Error error = open_query(
        target, "SELECT value FROM snkv_meta WHERE key='store_id' AND typeof(value)='blob'", nullptr, 0,
        query);
    if (error.failed()) return error;
    const std::unique_ptr<Query, void (*)(Query*)> closing(query, close_query);
    const SqlValue value = query->valid ? query_value(*query, 0) : SqlValue();
    const BytesView id = value.blob();
    if (id.size() != out.size()) {
      return Error(Errc::corrupt, operation, "snkv_meta has no usable store_id");
    }
    std::memcpy(out.data(), id.data(), out.size());
    return {};
  });
}

std::int64_t now(const Target& target) noexcept {
  if (target.store == nullptr) return 0;
  const Operation store_lives(target.store.get());
  if (target.scope == nullptr || target.scope->kind() == Scope::Kind::overlay) {
    return target.store->now_or_before();
  }
  if (target.scope->kind() == Scope::Kind::snapshot) {
    return static_cast<const SnapshotState&>(*target.scope).now;
  }
  const auto& transaction = static_cast<const TransactionState&>(*target.scope);
  return transaction.is_open() ? transaction.session().now() : target.store->now_or_before();
}

bool is_read_only(const Target& target) noexcept {
  return target.store != nullptr && target.store->options.read_only;
}

Error attachment(const Target& target, std::string_view name, MakeAttachment make, void* context,
                 std::shared_ptr<void>& out) {
  constexpr const char* operation = "attachment";
  return guarded(operation, target, [&]() -> Error {
    if (Error error = target.store->check(operation); error.failed()) return error;
    out = target.store->attachments.get(name, [&] { return make(context); });
    return {};
  });
}

void detach(const Target& target, std::string_view name) noexcept {
  if (target.store != nullptr) target.store->attachments.detach(name);
}

void log(const Target& target, LogLevel level, std::string_view message) noexcept {
  if (target.store != nullptr) target.store->log(level, message);
}

}  // namespace snkv::core
