/// \file
/// The functions of core_abi.hpp that read and write entries.
#include "base/printable.hpp"
#include "core/arguments.hpp"
#include "core/overlay.hpp"
#include "core/read_path.hpp"
#include "core/run.hpp"
#include "core/store_state.hpp"
#include "core/write_path.hpp"

#include <snkv/detail/core_abi.hpp>

#include <algorithm>
#include <fmt/format.h>
#include <limits>
#include <numeric>
#include <vector>

namespace snkv::core {
namespace {

/// Finds the live entry of one key and gives its row to `use`; `not_found` if there is none.
template <class Use>
Error read_entry(const char* operation, const Target& target, BytesView key, Use&& use) {
  target.store->counters.add(Counters::gets);
  if (Error error = check_key(operation, key); error.failed()) return error;
  bool found = false;
  Error error = with_view(operation, target, [&](const ReadView& view, snkv_bt_cursor* cursor) {
    return find_entry(operation, view, cursor, key, found,
                      [&](const Row& row) -> Error { return use(view, row); });
  });
  if (error.failed() || found) return error;
  return Error(Errc::not_found, operation, base::printable(key));
}

Error check_range(const char* operation, const KeyRange& range) {
  if (!range.bounded_above || BytesView(range.low) <= BytesView(range.high)) return {};
  return Error(Errc::invalid_argument, operation, "low is larger than high");
}

/// What an operation on the target's family needs for the write path.
WriteContext context_of(const char* operation, const Target& target, WriteSession& session) {
  return {operation, session, *target.family};
}

/// A function of the caller looks at a value that lies where the connection has it.
class Visitor {
 public:
  explicit Visitor(const Target& target) noexcept
      : user_code_(*target.store, UserCode::Kind::reads) {
    if (target.scope == nullptr || target.scope->kind() != Scope::Kind::snapshot) return;
    snapshot_ = static_cast<SnapshotState*>(target.scope.get());
    snapshot_->visitors.fetch_add(1);
  }
  Visitor(const Visitor&) = delete;
  Visitor& operator=(const Visitor&) = delete;
  ~Visitor() {
    if (snapshot_ != nullptr) snapshot_->visitors.fetch_sub(1);
  }

 private:
  const UserCode user_code_;
  SnapshotState* snapshot_ = nullptr;
};

}  // namespace

// ---- Reading ----

Error get(const Target& target, BytesView key, Bytes& value) {
  constexpr const char* operation = "get";
  return guarded(operation, target, [&]() -> Error {
    const Stopwatch stopwatch(target.store->latencies, TimedOperation::get);
    if (Overlay* over = overlay_of(target)) return over->get(operation, target, key, value);
    Error error = read_entry(operation, target, key, [&](const ReadView& view, const Row& row) {
      return copy_value(operation, view, row, value);
    });
    if (!error.failed()) target.store->counters.add(Counters::bytes_read, value.size());
    return error;
  });
}

Error get_entry(const char* operation, const Target& target, BytesView key, Bytes& value,
                std::optional<std::int64_t>& expires_at) {
  return guarded(operation, target, [&]() -> Error {
    return read_entry(operation, target, key, [&](const ReadView& view, const Row& row) {
      expires_at = row.expires_at;
      return copy_value(operation, view, row, value);
    });
  });
}

Error visit(const Target& target, BytesView key, VisitFunction use, void* context) {
  constexpr const char* operation = "visit";
  return guarded(operation, target, [&]() -> Error {
    if (Overlay* over = overlay_of(target)) {
      Bytes value;
      if (Error error = over->get(operation, target, key, value); error.failed()) return error;
      const UserCode user_code(*target.store, UserCode::Kind::reads);
      use(context, value);
      return {};
    }
    return read_entry(operation, target, key, [&](const ReadView& view, const Row& row) -> Error {
      Bytes buffer;
      BytesView value;
      if (Error error = row_value(operation, view, row, buffer, value); error.failed()) return error;
      target.store->counters.add(Counters::bytes_read, value.size());
      const Visitor visitor(target);
      use(context, value);
      return {};
    });
  });
}

Error contains(const Target& target, BytesView key, bool& found) {
  constexpr const char* operation = "contains";
  return guarded(operation, target, [&]() -> Error {
    if (Overlay* over = overlay_of(target)) return over->contains(target, key, found);
    Error error = read_entry(operation, target, key,
                             [](const ReadView&, const Row&) { return Error(); });
    found = !error.failed();
    return error == Errc::not_found ? Error() : error;
  });
}

Error ttl(const Target& target, BytesView key,
          std::optional<std::chrono::milliseconds>& remaining) {
  constexpr const char* operation = "ttl";
  return guarded(operation, target, [&]() -> Error {
    if (Overlay* over = overlay_of(target)) return over->ttl(target, key, remaining);
    return read_entry(operation, target, key, [&](const ReadView& view, const Row& row) -> Error {
      remaining.reset();
      // What is asked for is sealed with the value.
      if (view.keys != nullptr) {
        if (Error error = authenticate(operation, view, row); error.failed()) return error;
      }
      if (row.expires_at) remaining = std::chrono::milliseconds(*row.expires_at - view.now.get());
      return {};
    });
  });
}

Error multi_get(const Target& target, const BytesView* keys, std::size_t count,
                std::optional<Bytes>* values) {
  constexpr const char* operation = "multi_get";
  return guarded(operation, target, [&]() -> Error {
    if (Overlay* over = overlay_of(target)) return over->multi_get(target, keys, count, values);
    Counters& counters = target.store->counters;
    counters.add(Counters::gets, count);
    for (std::size_t i = 0; i < count; ++i) {
      if (Error error = check_key(operation, keys[i]); error.failed()) return error;
    }
    // In key order neighbours are found on the page that the last one left in the cache.
    std::vector<std::size_t> order(count);
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::sort(order.begin(), order.end(),
              [&](std::size_t a, std::size_t b) { return keys[a] < keys[b]; });
    return with_view(operation, target, [&](const ReadView& view, snkv_bt_cursor* cursor) -> Error {
      for (const std::size_t i : order) {
        bool found = false;
        Bytes value;
        Error error =
            find_entry(operation, view, cursor, keys[i], found, [&](const Row& row) -> Error {
              return copy_value(operation, view, row, value);
            });
        if (error.failed()) return error;
        values[i].reset();
        if (!found) continue;
        counters.add(Counters::bytes_read, value.size());
        values[i] = std::move(value);
      }
      return {};
    });
  });
}

Error count(const Target& target, std::uint64_t& entries) {
  constexpr const char* operation = "count";
  return guarded(operation, target, [&]() -> Error {
    if (Overlay* over = overlay_of(target)) return over->count(operation, target, {}, entries);
    return with_view(operation, target, [&](const ReadView&, snkv_bt_cursor* cursor) -> Error {
      const int rc = snkv_bt_count(cursor, &entries);
      return rc == SNKV_BT_OK ? Error() : btree::engine_error(operation, rc);
    });
  });
}

Error count_range(const Target& target, const KeyRange& range, std::uint64_t& entries) {
  constexpr const char* operation = "count_range";
  return guarded(operation, target, [&]() -> Error {
    if (Overlay* over = overlay_of(target)) return over->count(operation, target, {&range}, entries);
    return with_view(operation, target, [&](const ReadView&, snkv_bt_cursor* cursor) -> Error {
      if (range.bounded_above && BytesView(range.low) >= BytesView(range.high)) {
        entries = 0;
        return {};
      }
      const int rc = count_keys(cursor, range, entries);
      return rc == SNKV_BT_OK ? Error() : btree::engine_error(operation, rc);
    });
  });
}

Error count_live(const Target& target, std::uint64_t& entries) {
  constexpr const char* operation = "count_live";
  return guarded(operation, target, [&]() -> Error {
    if (Overlay* over = overlay_of(target)) return over->count(operation, target, {nullptr, true}, entries);
    return with_view(operation, target, [&](const ReadView& view, snkv_bt_cursor* cursor) -> Error {
      std::uint64_t all = 0;
      std::uint64_t expired = 0;
      const int rc = snkv_bt_count(cursor, &all);
      if (rc != SNKV_BT_OK) return btree::engine_error(operation, rc);
      if (Error error = count_gone(operation, view, cursor, expired); error.failed()) return error;
      entries = all - std::min(all, expired);
      return {};
    });
  });
}

// ---- Writing ----

Error put(const Target& target, BytesView key, BytesView value, const PutOptions& options) {
  constexpr const char* operation = "put";
  return guarded(operation, target, [&]() -> Error {
    const Stopwatch stopwatch(target.store->latencies, TimedOperation::put);
    if (Overlay* over = overlay_of(target)) return over->put(target, key, value, options);
    Counters& counters = target.store->counters;
    counters.add(Counters::puts);
    if (Error error = check_key(operation, key); error.failed()) return error;
    if (Error error = check_value(operation, key, value); error.failed()) return error;
    const auto work = [&](WriteSession& session) -> Error {
      NewEntry entry{key, value, {}};
      Error error = expiry(operation, options, session.now(), entry.expires_at);
      return error.failed() ? error : put_entry(context_of(operation, target, session), entry);
    };
    Error error = write_in_scope(operation, target, work, options.sync);
    if (!error.failed()) counters.add(Counters::bytes_written, key.size() + value.size());
    return error;
  });
}

Error erase(const Target& target, BytesView key, const WriteOptions& options, bool& existed) {
  constexpr const char* operation = "erase";
  return guarded(operation, target, [&]() -> Error {
    if (Overlay* over = overlay_of(target)) return over->erase(target, key, options, existed);
    target.store->counters.add(Counters::deletes);
    if (Error error = check_key(operation, key); error.failed()) return error;
    const auto work = [&](WriteSession& session) {
      return erase_entry(context_of(operation, target, session), key, existed);
    };
    return write_in_scope(operation, target, work, options.sync);
  });
}

Error clear(const Target& target, const WriteOptions& options) {
  constexpr const char* operation = "clear";
  return guarded(operation, target, [&]() -> Error {
    if (Overlay* over = overlay_of(target)) {
      return over->erase_range(operation, target, KeyRange(), options, nullptr);
    }
    const auto work = [&](WriteSession& session) {
      return clear_family(context_of(operation, target, session));
    };
    return write_in_scope(operation, target, work, options.sync);
  });
}

Error erase_range(const Target& target, const KeyRange& range, const WriteOptions& options,
                  std::uint64_t& erased) {
  constexpr const char* operation = "erase_range";
  return guarded(operation, target, [&]() -> Error {
    if (Error error = check_range(operation, range); error.failed()) return error;
    if (Overlay* over = overlay_of(target)) {
      return over->erase_range(operation, target, range, options, &erased);
    }
    const auto work = [&](WriteSession& session) {
      return erase_entries(context_of(operation, target, session), range, erased);
    };
    Counters& counters = target.store->counters;
    Error error = write_in_scope(operation, target, work, options.sync);
    if (!error.failed()) counters.add(Counters::deletes, erased);
    return error;
  });
}

Error set_expiry(const char* operation, const Target& target, BytesView key,
                 const PutOptions& options) {
  return guarded(operation, target, [&]() -> Error {
    if (Overlay* over = overlay_of(target)) return over->set_expiry(operation, target, key, options);
    if (Error error = check_key(operation, key); error.failed()) return error;
    bool found = false;
    const auto work = [&](WriteSession& session) -> Error {
      std::optional<std::int64_t> at;
      if (Error error = expiry(operation, options, session.now(), at); error.failed()) return error;
      return set_entry_expiry(context_of(operation, target, session), key, at, found);
    };
    Error error = write_in_scope(operation, target, work, options.sync);
    if (error.failed() || found) return error;
    return Error(Errc::not_found, operation, base::printable(key));
  });
}

Error purge_expired(const Target& given, std::uint64_t limit, std::uint64_t& purged) {
  constexpr const char* operation = "purge_expired";
  // A slice is short enough not to keep other writers waiting.
  constexpr std::uint64_t slice = 1000;
  return guarded(operation, given, [&]() -> Error {
    const Target target = given;  // a subscriber may end the handle that it belongs to
    std::uint64_t total = 0;
    PurgeProgress progress;
    const bool sliced = target.scope == nullptr;
    for (;;) {
      const std::uint64_t left = limit == 0 ? std::numeric_limits<std::uint64_t>::max() : limit - total;
      const std::uint64_t most = sliced ? std::min(slice, left) : left;
      std::uint64_t now_purged = 0;
      PurgeProgress next;
      const auto work = [&](WriteSession& session) {
        next = progress;  // it may be called more than once
        return purge_entries(context_of(operation, target, session), most, next, now_purged);
      };
      if (Error error = write_in_scope(operation, target, work); error.failed()) return error;
      progress = std::move(next);
      total += now_purged;
      target.store->counters.add(Counters::ttl_purged, now_purged);
      if (now_purged < most || total == limit) break;
    }
    purged = total;
    return progress.refused;
  });
}

Error purge_all_expired(const Target& given, std::uint64_t limit, std::uint64_t& purged) {
  constexpr const char* operation = "purge_all_expired";
  return guarded(operation, given, [&]() -> Error {
    const Target target = given;
    std::vector<std::shared_ptr<const Family>> families;
    // Looking first: taking the write lock for nothing would be felt by others.
    const auto collect = [&](snkv_bt* bt, const Catalog& catalog) -> Error {
      const std::int64_t now = target.store->now();
      for (const FamilyEntry& entry : catalog.families()) {
        std::uint64_t expired = 0;
        const ReadView view{bt, &entry, now, target.store.get()};
        const int rc = count_expired(view, 1, expired);
        if (rc != SNKV_BT_OK) return btree::engine_error(operation, rc);
        if (expired > 0) families.push_back(entry.family);
      }
      return {};
    };
    if (Error error = with_catalog(operation, target, collect); error.failed()) return error;
    std::uint64_t total = 0;
    // Of the first family with an entry that was tampered with: the others are purged all the same.
    Error refused;
    for (auto& family : families) {
      std::uint64_t now_purged = 0;
      const Target one{target.store, std::move(family), target.scope};
      Error error = purge_expired(one, limit == 0 ? 0 : limit - total, now_purged);
      total += now_purged;
      if (error == Errc::tampered) {
        if (!refused.failed()) refused = std::move(error);
      } else if (error.failed() && !(error == Errc::dropped)) {
        return error;
      }
      if (limit != 0 && total == limit) break;
    }
    purged = total;
    return refused;
  });
}

}  // namespace snkv::core
