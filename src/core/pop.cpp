/// \file
/// Taking the first or last entry of a range out of a family.
#include "base/printable.hpp"
#include "core/read_path.hpp"
#include "core/read_path_inl.hpp"
#include "core/run.hpp"
#include "core/write_path.hpp"

#include <snkv/detail/core_abi.hpp>

#include <memory>

namespace snkv::core {
namespace {

constexpr const char* operation_of(RangeEnd end) noexcept {
  return end == RangeEnd::first ? "pop_first" : "pop_last";
}

/// Steps through a range from one of its ends.
class RangeWalk {
 public:
  RangeWalk(snkv_bt_cursor* cursor, const KeyRange& range, RangeEnd from) noexcept
      : cursor_(cursor), range_(range), forward_(from == RangeEnd::first) {}

  /// An engine code; `valid` tells whether there is a row.
  [[nodiscard]] int begin(int& valid) {
    int order = 0;
    int rc = SNKV_BT_OK;
    if (!forward_ && !range_.bounded_above) return snkv_bt_last(cursor_, &valid);
    const Bytes& at = forward_ ? range_.low : range_.high;
    rc = snkv_bt_seek(cursor_, at.data(), static_cast<std::uint32_t>(at.size()), &order);
    valid = rc == SNKV_BT_OK ? snkv_bt_valid(cursor_) : 0;
    if (valid == 0) return rc;
    if (forward_ && order < 0) return snkv_bt_next(cursor_, &valid);
    if (!forward_ && order >= 0) return snkv_bt_prev(cursor_, &valid);
    return rc;
  }
  [[nodiscard]] int next(int& valid) {
    return forward_ ? snkv_bt_next(cursor_, &valid) : snkv_bt_prev(cursor_, &valid);
  }
  [[nodiscard]] bool is_inside(BytesView key) const noexcept {
    return forward_ ? !range_.bounded_above || key < BytesView(range_.high)
                    : key >= BytesView(range_.low);
  }

 private:
  snkv_bt_cursor* const cursor_;
  const KeyRange& range_;
  const bool forward_;
};

Error pop_entry(StoreState& store, const WriteContext& context, const KeyRange& range, RangeEnd end,
                std::optional<OwnedEntry>& out) {
  WriteSession& session = context.session;
  const btree::Lock lock(session.connection());
  const FamilyEntry* tables = nullptr;
  if (Error error = session.resolve(context.operation, context.family, true, tables);
      error.failed())
    return error;
  const ReadView view{session.bt(), tables, session.now(), &store, session.keys()};
  snkv_bt_cursor* cursor = nullptr;
  const auto failed = [&](int rc) {
    return btree::engine_error(context.operation, rc, base::printable(range.low));
  };
  if (const int rc = session.cursor(tables->root, SNKV_BT_ROWS, cursor); rc != SNKV_BT_OK)
    return failed(rc);
  RangeWalk walk(cursor, range, end);
  int valid = 0;
  int rc = walk.begin(valid);
  for (; rc == SNKV_BT_OK && valid != 0; rc = walk.next(valid)) {
    Row row;
    rc = read_row(cursor, session.payload, row);
    if (rc != SNKV_BT_OK) break;
    if (!walk.is_inside(row.key)) return {};
    bool live = false;
    if (Error error = is_live(context.operation, view, row, live); error.failed()) return error;
    if (!live) continue;
    OwnedEntry popped;
    popped.key = Bytes(row.key);
    if (Error error = copy_value(context.operation, view, row, popped.value); error.failed())
      return error;
    bool existed = false;
    if (Error error = erase_entry(context, popped.key, existed); error.failed()) return error;
    out = std::move(popped);
    return {};
  }
  return rc == SNKV_BT_OK ? Error() : failed(rc);
}

/// Through a write buffer: what another thread takes first is not there any more when it is looked
/// at again.
Error pop_buffered(Overlay& over, const Target& target, const KeyRange& range, RangeEnd end,
                   const WriteOptions& options, std::optional<OwnedEntry>& out) {
  const char* const operation = operation_of(end);
  for (;;) {
    const std::unique_ptr<Cursor, void (*)(Cursor*)> cursor(
        over.open_cursor(target, range, {.keys_only = true}), close_cursor);
    if (end == RangeEnd::first) {
      cursor_first(*cursor);
    } else {
      cursor_last(*cursor);
    }
    if (Error error = cursor_status(*cursor); error.failed()) return error;
    if (!cursor->valid) return {};
    OwnedEntry popped;
    popped.key = Bytes(cursor->key);
    struct Call {
      Bytes& value;
      bool found = false;
    } call{popped.value};
    const auto take = [](void* context, const BytesView* current, Bytes&, Update& decision) {
      auto& asked = *static_cast<Call*>(context);
      asked.found = current != nullptr;
      decision = current == nullptr ? Update::keep : Update::erase;
      if (current != nullptr) asked.value = Bytes(*current);
      return Error();
    };
    Error error =
        over.update(operation, target, popped.key, {.sync = options.sync}, false, take, &call);
    if (error.failed()) return error;
    if (call.found) {
      out = std::move(popped);
      return {};
    }
  }
}

}  // namespace

Error pop(const Target& target, const KeyRange& range, RangeEnd end, const WriteOptions& options,
          std::optional<OwnedEntry>& out) {
  const char* const operation = operation_of(end);
  return guarded(operation, target, [&]() -> Error {
    std::optional<OwnedEntry> popped;
    if (Overlay* over = overlay_of(target)) {
      if (Error error = pop_buffered(*over, target, range, end, options, popped); error.failed())
        return error;
    } else {
      const auto work = [&](WriteSession& session) -> Error {
        popped.reset();
        return pop_entry(*target.store, {operation, session, *target.family}, range, end, popped);
      };
      if (Error error = write_in_scope(operation, target, work, options.sync); error.failed())
        return error;
      target.store->counters.add(Counters::deletes, popped ? 1 : 0);
    }
    out = std::move(popped);
    return {};
  });
}

}  // namespace snkv::core
