/// \file
/// `BlobWriter` and `BlobReader`: values that are written and read in pieces, in sequence or at any
/// position, without ever being in memory as a whole.
///
///     auto writer = store.blob_writer("video", {.ttl = 24h});
///     while (more) writer->write(piece);
///     writer->finish();                       // only now is there a value
///
///     auto reader = store.blob_reader("video");
///     reader->read_at(offset, buffer);        // touches the pages of this part only
///
/// What is stored is the same as `put` would have stored, so each can read the other's values.
///
/// A writer outside a transaction is a transaction of its own: it holds the store's only write
/// lock, so other writes of its thread give `locked` and those of others wait, until it is
/// finished, cancelled or destroyed. The log grows by the size of the value until then. Inside a
/// transaction a writer is part of it, several may be at work, and what is unfinished when it
/// commits is cancelled.
///
/// A reader keeps the store open and pins a snapshot, which holds back the recycling of the log,
/// unless it is made from a snapshot or transaction: then it reads from there.
///
/// Threads: one at a time for each object; inside a transaction or snapshot, as that.
#pragma once

#include <snkv/detail/core_abi.hpp>
#include <snkv/expected.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>

namespace snkv {
inline namespace SNKV_EXPECTED_NAMESPACE {

/// Writes one value. Whatever is not finished when the object is destroyed leaves nothing behind.
///
/// Any of its operations may fail with `closed` (finished or cancelled before, its transaction has
/// ended, was rolled back to a savepoint, or cleared the family), `rollback_required` (an earlier
/// write failed: nothing but cancelling is left), `full`, `io_error`, `corrupt`, `no_memory`,
/// `dropped`, `forked`.
class BlobWriter {
 public:
  /// Refers to nothing; every use gives `Errc::closed`.
  BlobWriter() noexcept = default;
  /// Made by `blob_writer` of `Store`, `ColumnFamily` and `Transaction`.
  explicit BlobWriter(core::BlobWriter* writer) noexcept : writer_(writer) {}

  /// Adds bytes at the end. `invalid_argument` when they go past the declared size, `too_large`
  /// when they go past `max_value_size`; then none of them is kept. O(bytes).
  [[nodiscard]] Result<void> write(BytesView bytes) { return write_at(size(), bytes); }

  /// Puts bytes at a position, over what is there and beyond the end. Besides the errors of
  /// `write`: `invalid_argument` when `offset` is larger than `size()`. O(bytes + log n); parts of
  /// chunks that are not the last one written to are read first.
  [[nodiscard]] Result<void> write_at(std::uint64_t offset, BytesView bytes) {
    return facade::as_result(core::blob_write(writer_.get(), offset, bytes));
  }

  /// Number of bytes so far.
  [[nodiscard]] std::uint64_t size() const noexcept { return writer_ ? writer_->size : 0; }

  /// Makes it the value of its key, in place of what was there, and ends the writer. Outside a
  /// transaction it is then committed, as durable as `BlobOptions::sync` says. `invalid_argument`
  /// when the size is not the declared one: more may be written then. After `busy` (possible with
  /// `Journal::rollback` only) it may be tried again; other failures to commit end the writer.
  [[nodiscard]] Result<void> finish() {
    return facade::as_result(core::blob_finish(writer_.get()));
  }

  /// Gives up what was written, and ends the writer. Does nothing after `finish`.
  void cancel() noexcept { core::blob_cancel(writer_.get()); }

 private:
  struct Close {
    void operator()(core::BlobWriter* writer) const noexcept { core::close_blob_writer(writer); }
  };
  std::unique_ptr<core::BlobWriter, Close> writer_;
};

/// Reads one value.
///
/// A reading may fail with `closed` (its transaction has ended, or has changed the value),
/// `expired` (see `Options::expire_snapshots`), `corrupt`, `io_error`, `no_memory`, `dropped`,
/// `forked`.
class BlobReader {
 public:
  /// Refers to nothing; every use gives `Errc::closed`.
  BlobReader() noexcept = default;
  /// Made by `blob_reader` of `Store`, `ColumnFamily`, `Transaction` and `Snapshot`.
  explicit BlobReader(core::BlobReader* reader) noexcept : reader_(reader) {}
  BlobReader(BlobReader&&) noexcept = default;
  BlobReader& operator=(BlobReader&&) noexcept = default;

  /// Size of the value, in bytes.
  [[nodiscard]] std::uint64_t size() const noexcept { return reader_ ? reader_->size : 0; }

  /// Fills `buffer` from the current position on, and moves it; the number of bytes, less than
  /// asked for only at the end of the value, and 0 there. O(log n + bytes).
  [[nodiscard]] Result<std::size_t> read(std::span<std::byte> buffer) {
    Result<std::size_t> got = read_at(position_, buffer);
    if (got) position_ += *got;
    return got;
  }

  /// The same at any position, leaving the current one alone. `invalid_argument` when `offset` is
  /// larger than `size()`. O(log n + bytes): touches the pages of these bytes only.
  [[nodiscard]] Result<std::size_t> read_at(std::uint64_t offset, std::span<std::byte> buffer) {
    std::size_t got = 0;
    Error error = core::blob_read(reader_.get(), offset, buffer.data(), buffer.size(), got);
    return facade::as_result(std::move(error), std::move(got));
  }

  /// Moves the position of `read`; `invalid_argument`, and no move, when it is larger than
  /// `size()`.
  [[nodiscard]] Result<void> seek(std::uint64_t position) {
    Result<std::size_t> there = read_at(position, {});
    if (!there) return Unexpected(std::move(there).error());
    position_ = position;
    return {};
  }
  /// The position of `read`.
  [[nodiscard]] std::uint64_t tell() const noexcept { return position_; }

 private:
  struct Close {
    void operator()(core::BlobReader* reader) const noexcept { core::close_blob_reader(reader); }
  };
  std::unique_ptr<core::BlobReader, Close> reader_;
  std::uint64_t position_ = 0;
};

}  // namespace SNKV_EXPECTED_NAMESPACE
}  // namespace snkv
