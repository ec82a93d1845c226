/// \file
/// `WriteBuffer`, a sorted table in memory in front of a store. Without a journal, whatever was not
/// flushed is lost when the process ends.
///
/// Many small writes at random places cost a tree a page each. A buffer collects them, and writes
/// them to the store in the order of their keys, in one transaction: chosen by size, by age, by
/// `flush` and by `close`. It writes what replaced others only once.
///
///     auto buffer = snkv::WriteBuffer::open(store, {.flush_bytes = 64 << 20, .journal = true});
///     buffer->put("a", "1");                       // in memory, and in the journal
///     buffer->get("a");                            // "1"; store.get("a") does not see it yet
///     buffer->family(*sessions).put("x", "2");     // all families of the store go through one buffer
///     buffer->flush();                             // now the store has both
///
/// Reading. Through the buffer one sees what is in it, and where it says nothing of a key, the
/// store: reads of one entry as of now, iterators, ranges, `multi_get` and `count` as of one
/// instant, however often it is flushed meanwhile. `get` costs a lookup in the tables more; `count`
/// O(pages + buffered entries * log n).
///
/// Others may write to the store at the same time, also in other processes. What is in the buffer
/// hides what they write under the same keys, and is put over it by the flush: the last flush wins.
/// Operations that read and write
/// (`put_if_absent`, `compare_and_swap`, `increment`, `merge`, `erase`) are atomic among those who
/// write through the buffer, not with others. Watches tell of writes when they are flushed. What is
/// buffered for a family that is dropped goes away with it.
///
/// `erase` and `erase_range` look at the store to tell what they erased; in a `WriteBatch` they do
/// not. Values in pieces, `purge_expired`, `family_stats` and transactions are the store's own:
/// here they give `invalid_argument`.
///
/// Errors. A flush that fails leaves everything buffered. The error is told by `on_error` and,
/// once, by the next write, `flush` or `close`, which then has not been carried out; the flush is
/// tried again. A write that finds no room waits or is refused, as `when_full` says. One that is
/// larger than `flush_bytes` is written through: what is buffered is flushed, and then it is
/// written to the store.
///
/// Threads: any number, as `Store`. Copies, and the families obtained from it, share one buffer; it
/// closes with the last of them, which flushes: call `close` to learn whether that succeeds. It
/// keeps the store open, which cannot be closed meanwhile (`busy`).
#pragma once

#include <snkv/detail/buffer_abi.hpp>
#include <snkv/store.hpp>
#include <snkv/write_buffer_options.hpp>

#include <optional>
#include <string_view>
#include <utility>

namespace snkv {
inline namespace SNKV_EXPECTED_NAMESPACE {

/// What `Store` does with the entries of the default family, through the buffer.
class WriteBuffer : public EntryWriter {
 public:
  /// Refers to nothing; every use gives `Errc::closed`.
  WriteBuffer() noexcept = default;

  /// Puts a buffer in front of the store. If there is a journal of its name that a former owner has
  /// left, also without `journal`, what is in it is written to the store first, exactly once.
  /// Errors: `invalid_argument` (a size of zero, a negative age, a name; a journal for a store in
  /// memory), `read_only`, `busy` (the name has an owner), `log_mismatch` (the file beside the
  /// store has the journal of another one), `corrupt` (the journal is damaged), and those of a
  /// write. `Options::background_checkpoints` and the like go on as before. O(journal).
  [[nodiscard]] static Result<WriteBuffer> open(const Store& store,
                                                const WriteBufferOptions& options = {}) {
    WriteBuffer buffer;
    Error error = core::open_buffer(facade::Door::target(store), options, buffer.target_);
    return facade::as_result(std::move(error), std::move(buffer));
  }

  /// Gives up what a former owner has left in the journal `name`, and the journal with it: for one
  /// that is damaged. `not_found`, `busy` (it has an owner).
  [[nodiscard]] static Result<void> drop_journal(const Store& store,
                                                 std::string_view name = "default") {
    return facade::as_result(core::drop_journal(facade::Door::target(store), name));
  }

  /// A family of the store, read and written through the buffer. `invalid_argument` for one of
  /// another store, or one that belongs to a transaction or snapshot.
  [[nodiscard]] Result<ColumnFamily> try_family(const ColumnFamily& family) const {
    core::Target out;
    Error error = core::buffer_family(target_, facade::Door::target(family), out);
    return facade::as_result(std::move(error), ColumnFamily(std::move(out)));
  }
  /// The same; on an error a handle that gives `closed`.
  [[nodiscard]] ColumnFamily family(const ColumnFamily& family) const {
    return try_family(family).value_or(ColumnFamily());
  }

  /// Returns when everything that was buffered at the call is in the store; the error if it cannot
  /// be written, and then it stays buffered. O(n) of what is buffered.
  [[nodiscard]] Result<void> flush() { return facade::as_result(core::buffer_flush(target_)); }

  /// Flushes and ends the buffer: later uses of it give `closed`. If it cannot be flushed the
  /// buffer stays open.
  [[nodiscard]] Result<void> close() { return facade::as_result(core::buffer_close(target_)); }

  [[nodiscard]] Result<WriteBufferStats> stats() const {
    WriteBufferStats out;
    Error error = core::buffer_stats(target_, out);
    return facade::as_result(std::move(error), std::move(out));
  }
};

}  // namespace SNKV_EXPECTED_NAMESPACE
}  // namespace snkv
