/// \file
/// Values that are written and read in pieces: the state behind `BlobWriter` and `BlobReader`.
#pragma once

#include "core/read_path.hpp"
#include "core/scope.hpp"
#include "core/write_path.hpp"

#include <snkv/detail/core_abi.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

namespace snkv::core {

/// Writes a value chunk by chunk, in the caller's transaction or one of its own. One chunk at a
/// time is in memory: the last one written to. A value that fits one chunk is never written but by
/// `put_entry`.
class BlobWriterState final : public BlobWriter {
 public:
  BlobWriterState() noexcept = default;
  BlobWriterState(const BlobWriterState&) = delete;
  BlobWriterState& operator=(const BlobWriterState&) = delete;
  ~BlobWriterState() { cancel(); }

  [[nodiscard]] Error open(const char* operation, const Target& target, BytesView key,
                           const BlobOptions& options);
  [[nodiscard]] Error write(const char* operation, std::uint64_t offset, BytesView bytes);
  /// After `busy` it may be called again.
  [[nodiscard]] Error finish(const char* operation);
  /// Undoes everything, unless it is finished.
  void cancel() noexcept;

  [[nodiscard]] const Target& target() const noexcept { return target_; }

 private:
  [[nodiscard]] Error check(const char* operation) const;
  [[nodiscard]] Error check_extent(const char* operation, std::uint64_t offset,
                                   std::uint64_t amount) const;
  [[nodiscard]] WriteContext context(const char* operation) const;
  [[nodiscard]] Error expiry_at(const char* operation, std::optional<std::int64_t>& out) const;
  [[nodiscard]] Error store(const WriteContext& context, std::uint64_t offset, BytesView bytes);
  [[nodiscard]] Error load(const WriteContext& context, std::uint64_t index, std::uint64_t begin,
                           std::uint64_t end);
  [[nodiscard]] Error flush(const WriteContext& context);
  [[nodiscard]] Error put(const WriteContext& context);
  /// Bytes of the value that lie in this chunk.
  [[nodiscard]] std::size_t chunk_end(std::uint64_t index) const noexcept;

  Target target_;
  Bytes key_;
  BlobOptions options_;
  std::shared_ptr<TransactionState> transaction_;  // null: finished or cancelled
  bool own_ = false;                               // the transaction is for this value alone
  bool stored_ = false;                            // the row is written
  std::shared_ptr<BegunValue> value_;

  Bytes buffer_;
  std::uint64_t loaded_ = 0;  // number of the chunk in buffer_
  bool dirty_ = false;        // it differs from what is in the file
  std::uint32_t chunk_size_ = 0;
};

/// Reads parts of a value, from a snapshot of its own or in the scope it is made in.
class BlobReaderState final : public BlobReader {
 public:
  BlobReaderState() noexcept = default;

  [[nodiscard]] Error open(const char* operation, const Target& target, BytesView key);
  /// Reads up to `size` bytes; `got` tells how many there were.
  [[nodiscard]] Error read(const char* operation, std::uint64_t offset, std::byte* out,
                           std::size_t size, std::size_t& got);

  [[nodiscard]] const Target& target() const noexcept { return target_; }

 private:
  [[nodiscard]] Error check_unchanged(const char* operation, const ReadView& view,
                                      snkv_bt_cursor* cursor) const;

  Target target_;  // with a scope
  Bytes key_;
  LargeValue large_;
  Bytes inline_;  // the value, if it is not a large one
};

}  // namespace snkv::core
