/// \file
/// The functions of core_abi.hpp that read an entry and write it in one transaction.
#include "base/printable.hpp"
#include "core/arguments.hpp"
#include "core/overlay.hpp"
#include "core/read_path.hpp"
#include "core/run.hpp"
#include "core/store_state.hpp"
#include "core/write_path.hpp"

#include <snkv/detail/core_abi.hpp>

#include <fmt/format.h>
#include <charconv>

namespace snkv::core {

namespace {

/// Reads the live entry of `key` inside the transaction, lets `decide(current, row)` judge it, and
/// does what it says.
template <class Decide>
Error update_entry(const char* operation, const Target& target, WriteSession& session,
                   BytesView key, Decide&& decide) {
  const btree::Lock lock(session.connection());
  const FamilyEntry* tables = nullptr;
  if (Error error = session.resolve(operation, *target.family, true, tables); error.failed()) {
    return error;
  }
  const ReadView view{session.bt(), tables, session.now(), target.store.get(), session.keys()};
  snkv_bt_cursor* cursor = nullptr;
  const int rc = session.cursor(tables->root, SNKV_BT_ROWS, cursor);
  if (rc != SNKV_BT_OK) return btree::engine_error(operation, rc, base::printable(key));
  bool found = false;
  Bytes current;
  std::optional<std::int64_t> expires_at;
  Error error = find_entry(operation, view, cursor, key, found, [&](const Row& row) -> Error {
    expires_at = row.expires_at;
    return copy_value(operation, view, row, current);
  });
  if (error.failed()) return error;
  Update decision = Update::keep;
  Bytes desired;
  error = decide(found ? &current : nullptr, desired, expires_at, decision);
  if (error.failed() || decision == Update::keep) return error;
  const WriteContext context{operation, session, *target.family};
  if (decision == Update::erase) {
    bool existed = false;
    return erase_entry(context, key, existed);
  }
  if (Error bad = check_value(operation, key, desired); bad.failed()) return bad;
  target.store->counters.add(Counters::bytes_written, key.size() + desired.size());
  return put_entry(context, {key, desired, expires_at});
}

}  // namespace

Error update(const char* operation, const Target& given, BytesView key, const PutOptions& options,
             UpdateFunction decide, void* context) {
  return guarded(operation, given, [&]() -> Error {
    const Target target = given;  // `decide` may end the handle that it belongs to
    if (Overlay* over = overlay_of(target)) {
      return over->update(operation, target, key, options, false, decide, context);
    }
    target.store->counters.add(Counters::puts);
    if (Error error = check_key(operation, key); error.failed()) return error;
    const auto work = [&](WriteSession& session) -> Error {
      std::optional<std::int64_t> at;
      if (Error error = expiry(operation, options, session.now(), at); error.failed()) return error;
      return update_entry(operation, target, session, key,
                          [&](const Bytes* current, Bytes& desired,
                              std::optional<std::int64_t>& expires_at, Update& decision) -> Error {
                            const BytesView seen = current == nullptr ? BytesView() : *current;
                            expires_at = at;
                            const UserCode user_code(*target.store, UserCode::Kind::reads);
                            return decide(context, current == nullptr ? nullptr : &seen, desired,
                                          decision);
                          });
    };
    return write_in_scope(operation, target, work, options.sync);
  });
}

namespace {

/// A 64-bit integer as text, as `std::to_chars` writes it.
class IntegerText {
 public:
  explicit IntegerText(std::int64_t value) noexcept
      : size_(static_cast<std::size_t>(std::to_chars(text_, text_ + sizeof(text_), value).ptr -
                                       text_)) {}
  [[nodiscard]] BytesView view() const noexcept { return {text_, size_}; }

 private:
  char text_[24];
  std::size_t size_;
};

/// No other text than the one that would be written: not "007", not "-0".
bool parse_integer(BytesView text, std::int64_t& out) {
  const char* begin = text.view().data();
  const auto parsed = std::from_chars(begin, begin + text.size(), out);
  return parsed.ec == std::errc() && IntegerText(out).view() == text;
}

Error error_no_integer(const char* operation, BytesView key) {
  return Error(Errc::invalid_argument, operation,
               fmt::format("the value of {} is no 64-bit integer", base::printable(key)));
}

/// The text of the sum of the integer in `current` (null: 0) and `delta`.
Error add(BytesView key, const BytesView* current, std::int64_t delta, Bytes& desired,
          std::int64_t& result) {
  constexpr const char* operation = "increment";
  std::int64_t value = 0;
  if (current != nullptr && !parse_integer(*current, value)) {
    return error_no_integer(operation, key);
  }
  if (__builtin_add_overflow(value, delta, &value)) {
    return Error(Errc::invalid_argument, operation,
                 fmt::format("the sum under {} overflows", base::printable(key)));
  }
  desired = Bytes(IntegerText(value).view());
  result = value;
  return {};
}

}  // namespace

Error increment(const Target& target, BytesView key, std::int64_t delta, const PutOptions& options,
                std::int64_t& result) {
  constexpr const char* operation = "increment";
  return guarded(operation, target, [&]() -> Error {
    target.store->counters.add(Counters::puts);
    if (Error error = check_key(operation, key); error.failed()) return error;
    if (Overlay* over = overlay_of(target)) {
      struct Call {
        BytesView key;
        std::int64_t delta;
        std::int64_t& result;
      } call{key, delta, result};
      const auto decide = [](void* context, const BytesView* current, Bytes& desired,
                             Update& decision) {
        auto& asked = *static_cast<Call*>(context);
        decision = Update::put;
        return add(asked.key, current, asked.delta, desired, asked.result);
      };
      return over->update(operation, target, key, options, true, decide, &call);
    }
    const auto work = [&](WriteSession& session) -> Error {
      std::optional<std::int64_t> at;
      if (Error error = expiry(operation, options, session.now(), at); error.failed()) return error;
      return update_entry(operation, target, session, key,
                          [&](const Bytes* current, Bytes& desired,
                              std::optional<std::int64_t>& expires_at, Update& decision) -> Error {
                            const BytesView seen = current == nullptr ? BytesView() : *current;
                            if (at) expires_at = at;
                            decision = Update::put;
                            return add(key, current == nullptr ? nullptr : &seen, delta, desired,
                                       result);
                          });
    };
    return write_in_scope(operation, target, work, options.sync);
  });
}

Error get_int(const Target& target, BytesView key, std::int64_t& out) {
  constexpr const char* operation = "get_int";
  return guarded(operation, target, [&]() -> Error {
    Bytes value;
    std::optional<std::int64_t> expires_at;
    if (Error error = overlay_of(target) != nullptr
                          ? overlay_of(target)->get(operation, target, key, value)
                          : get_entry(operation, target, key, value, expires_at);
        error.failed()) {
      return error;
    }
    return parse_integer(value, out) ? Error() : error_no_integer(operation, key);
  });
}

Error get_and_expire(const Target& target, BytesView key, const PutOptions& options, Bytes& value) {
  constexpr const char* operation = "get_and_expire";
  return guarded(operation, target, [&]() -> Error {
    if (Error error = check_key(operation, key); error.failed()) return error;
    bool found = false;
    Error error;
    if (Overlay* over = overlay_of(target)) {
      struct Call {
        Bytes& value;
        bool& found;
      } call{value, found};
      const auto decide = [](void* context, const BytesView* current, Bytes& desired,
                             Update& decision) {
        auto& asked = *static_cast<Call*>(context);
        asked.found = current != nullptr;
        decision = current != nullptr ? Update::put : Update::keep;
        if (current != nullptr) {
          asked.value = Bytes(*current);
          desired = Bytes(*current);
        }
        return Error();
      };
      error = over->update(operation, target, key, options, false, decide, &call);
    } else {
      Bytes read;
      const auto work = [&](WriteSession& session) -> Error {
        std::optional<std::int64_t> at;
        if (Error bad = expiry(operation, options, session.now(), at); bad.failed()) return bad;
        const auto keep = [&](const Bytes* current, Bytes&, std::optional<std::int64_t>&, Update&) {
          found = current != nullptr;
          if (found) read = *current;
          return Error();
        };
        if (Error bad = update_entry(operation, target, session, key, keep); bad.failed() || !found)
          return bad;
        return set_entry_expiry({operation, session, *target.family}, key, at, found);
      };
      error = write_in_scope(operation, target, work, options.sync);
      if (!error.failed()) value = std::move(read);
    }
    if (error.failed() || found) return error;
    return Error(Errc::not_found, operation, base::printable(key));
  });
}

}  // namespace snkv::core
