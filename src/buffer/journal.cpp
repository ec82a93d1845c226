#include "buffer/journal.hpp"

#include "base/printable.hpp"
#include "buffer/view.hpp"
#include "core/big_endian.hpp"
#include "core/store_state.hpp"

#include <fmt/format.h>
#include <random>
#include <utility>
#include <vector>

namespace snkv::buffer {
namespace {

constexpr std::size_t row_bytes = 1u << 20;  // of the tail that go into one row
constexpr std::uint8_t state_version = 1;

struct RowKey {
  std::byte bytes[8];
  explicit RowKey(Sequence last) noexcept { core::put_big_endian(bytes, last, 8); }
  [[nodiscard]] BytesView view() const noexcept { return {bytes, sizeof bytes}; }
};

std::string family_name_of(std::string_view name) { return fmt::format("snkv_journal_{}", name); }

Error damaged(const char* operation, std::string_view name, std::string_view what) {
  return Error(Errc::corrupt, operation,
               fmt::format("the journal {} is damaged: {}", base::printable(name), what));
}

}  // namespace

Journal::Journal(core::Target store, std::string name, std::optional<Sync> sync)
    : store_(std::move(store)), name_(std::move(name)), sync_(sync) {}

Error Journal::exists(const core::Target& store, std::string_view name, bool& out) {
  core::Target found;
  Error error = core::internal_family(store, family_name_of(name), core::FamilyMode::open, found);
  out = !error.failed();
  return error == Errc::not_found ? Error() : error;
}

Error Journal::open(const char* operation) {
  sealed_ = core::is_encrypted(store_);
  // The lock first: who has it may be about to remove the family.
  const std::string path = fmt::format("{}-buffer-{}", core::file(store_), name_);
  Error error = tail_.open(operation, path, core::FileAccess::of(*store_.store));
  if (error.failed()) return error;
  core::Target rows;
  error =
      core::internal_family(store_, family_name_of(name_), core::FamilyMode::open_or_create, rows);
  if (error.failed()) return error;
  family_ = rows.family;
  family_id_ = family_->id;
  return core::store_id(store_, store_id_);
}

Error Journal::read_state(const char* operation) {
  Bytes state;
  Error error = core::get(rows(), RowKey(0).view(), state);
  if (error == Errc::not_found) return {};
  if (error.failed()) return error;
  if (state.size() != 17 || std::to_integer<std::uint8_t>(state.data()[0]) != state_version) {
    return damaged(operation, name_, "its state is none that this version knows");
  }
  flushed_ = core::big_endian(state.data() + 1, 8);
  epoch_ = core::big_endian(state.data() + 9, 8);
  return {};
}

Error Journal::write_state(const core::Target& target, Sequence flushed, std::uint64_t epoch,
                           std::optional<Sync> sync) {
  std::byte state[17];
  state[0] = static_cast<std::byte>(state_version);
  core::put_big_endian(state + 1, flushed, 8);
  core::put_big_endian(state + 9, epoch, 8);
  return core::put(target, RowKey(0).view(), BytesView(state, sizeof state), {.sync = sync});
}

Error Journal::replay(const char* operation, const std::function<Error(const Record&)>& use) {
  replaying_ = true;
  if (Error error = read_state(operation); error.failed()) return error;
  Sequence last = flushed_;
  const auto once = [&](const Record& record) -> Error {
    // Rows may have what the tail has too: it is moved first and forgotten then.
    if (record.last <= last) return {};
    last = record.last;
    return use(record);
  };
  {
    core::KeyRange behind_state{Bytes(RowKey(1).view()), {}, false};
    const CursorHandle cursor(core::open_cursor(rows(), std::move(behind_state), {}));
    for (core::cursor_first(*cursor); cursor->valid; core::cursor_next(*cursor)) {
      BytesView rest = cursor->value;
      Record record;
      while (!rest.empty()) {
        if (take_record(rest, 0, record) != Take::ok) {
          return damaged(operation, name_, fmt::format("the row {}", base::printable(cursor->key)));
        }
        if (Error error = once(record); error.failed()) return error;
      }
    }
    if (Error error = core::cursor_status(*cursor); error.failed()) return error;
  }
  bool cut_short = false;
  const std::lock_guard lock(mutex_);
  Error error = tail_.read(operation, owner(), cut_short, once);
  if (cut_short) {
    core::log(store_, LogLevel::warning,
              fmt::format("{}: the last writes before the machine stopped were not on the disk",
                          tail_.path()));
  }
  return error;
}

Error Journal::begin(const char* operation) {
  std::random_device random;
  const std::uint64_t epoch = std::uint64_t{random()} << 32 | random();
  const std::lock_guard lock(mutex_);
  // Nothing may be left of the old epoch when the new one is in the file.
  if (Error error = tail_.reset(operation, owner()); error.failed()) return error;
  // On the disk before the tail has records of it: a power cut must not leave a tail of an epoch that the store
  // does not know.
  if (Error error = write_state(rows(), flushed_, epoch, Sync::full); error.failed()) return error;
  epoch_ = epoch;
  replaying_ = false;
  next_drain_ = row_bytes;
  return tail_.reset(operation, owner());
}

Error Journal::append(const char* operation, std::string& records, Sequence last, bool safe) {
  const std::lock_guard lock(mutex_);
  if (safe) safe_.store(true);
  if (sealed_) {
    check_records(records, 0);
    return core::put(rows(), RowKey(last).view(), records, {.sync = promise()});
  }
  check_records(records, tail_.seed());
  if (Error error = tail_.append(operation, records, safe); error.failed()) return error;
  appended_ = last;
  if (tail_.bytes() < next_drain_ || flushing_.load()) return {};
  // They are safe as they are. If they cannot be moved now, others write: it is tried again later.
  if (const Error error = drain(); error.failed()) next_drain_ = tail_.bytes() + row_bytes;
  return {};
}

/// Moves the records of the tail into rows. The lock is held meanwhile: a flush asks for it when it
/// has given back the turn to write.
Error Journal::drain() {
  constexpr const char* operation = "write buffer";
  std::uint64_t offset = 0;
  Bytes piece;
  std::string row;
  std::size_t wanted = row_bytes;
  while (offset < tail_.bytes()) {
    const auto have =
        static_cast<std::size_t>(std::min<std::uint64_t>(wanted, tail_.bytes() - offset));
    piece.resize_for_overwrite(have);
    if (Error error = tail_.read_at(operation, offset, piece.data(), have); error.failed())
      return error;
    BytesView rest(piece.data(), have);
    Record record;
    row.clear();
    Sequence last = 0;
    while (take_record(rest, tail_.seed(), record) == Take::ok) {
      offset += record.all.size();
      if (record.last <= flushed_.load()) continue;
      const std::size_t begin = begin_record(row);
      row += record.operations.view();
      end_record(row, begin, record.last);
      last = record.last;
    }
    if (rest.size() == have) {
      if (have == tail_.bytes() - offset) return damaged(operation, name_, tail_.path());
      wanted *= 2;
      continue;
    }
    if (row.empty()) continue;
    check_records(row, 0);
    // A row at least as safe as the records that it takes the place of.
    if (Error error = core::put(rows(), RowKey(last).view(), row, {.sync = promise()});
        error.failed()) {
      return error;
    }
  }
  next_drain_ = row_bytes;
  return tail_.reset(operation, owner());
}

Error Journal::erase_through(const core::Target& transaction, Sequence last) {
  const core::Target rows{store_.store, family_, transaction.scope};
  std::uint64_t erased = 0;
  core::KeyRange range{Bytes(RowKey(1).view()), Bytes(RowKey(last + 1).view()), true};
  if (Error error = core::erase_range(rows, range, {}, erased); error.failed()) return error;
  return write_state(rows, last, epoch_, promise());
}

void Journal::flushed(Sequence last) noexcept {
  flushed_.store(last);
  flushing_.store(false);
  if (replaying_) return;
  const std::lock_guard lock(mutex_);
  // If it fails, the records are passed over by their numbers.
  if (tail_.bytes() > 0 && appended_ <= last)
    static_cast<void>(tail_.reset("write buffer", owner()));
}

void Journal::close() noexcept {
  const std::lock_guard lock(mutex_);
  if (tail_.bytes() == 0) {
    tail_.remove();
  } else {
    tail_.close();
  }
}

Error Journal::drop(const char* operation) {
  const std::lock_guard lock(mutex_);
  Error error = core::drop_internal_family(store_, family_name_of(name_));
  if (error.failed()) return Error(error.code(), operation, error.detail(), error.extended());
  tail_.remove();
  return {};
}

}  // namespace snkv::buffer
