/// \file
/// Side files of the core as streams of bytes.
#pragma once

#include <snkv/detail/core_abi.hpp>
#include <snkv/vector/detail/base/byte_stream.hpp>
#include <snkv/vector/thread_pool.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string_view>
#include <utility>
#include <vector>

namespace snkv::vector_detail {

/// Told now and then of bytes done and bytes in all, which is 0 where it is not known; false stops.
using ByteProgress = std::function<bool(std::uint64_t done, std::uint64_t total)>;

/// Writes a side file, whose chunks are sealed and written by several threads where much comes at
/// once. It is removed again unless `publish` was called.
class SideSink final : public ByteSink {
 public:
  explicit SideSink(ThreadPool& pool) : pool_(pool) {}
  ~SideSink() override {
    if (writer_ != nullptr) core::close_side_writer(writer_);
  }
  [[nodiscard]] Error create(const core::Target& target, std::string_view suffix,
                             ByteProgress progress = {}) {
    progress_ = std::move(progress);
    if (Error error = core::open_side_writer(target, suffix, writer_); error.failed()) return error;
    buffer_.resize(writer_->chunk_size);
    return {};
  }
  /// To be called when all has been written, without an error: waits for the disk.
  [[nodiscard]] Error finish() {
    Error error = core::side_write(writer_, chunk_, buffer_.data(), filled_, true);
    return error.failed() ? error : core::side_finish(writer_);
  }
  [[nodiscard]] Error publish() { return core::side_publish(writer_); }
  [[nodiscard]] std::uint64_t size() const noexcept { return chunk_ * buffer_.size() + filled_; }

 private:
  /// Chunks that are given to the threads at once.
  static constexpr std::size_t step = 64;

  Error append(const std::byte* data, std::size_t size) override {
    const std::size_t chunk_size = buffer_.size();
    while (size != 0) {
      std::size_t part = std::min(size, chunk_size - filled_);
      if (filled_ == 0 && size >= chunk_size) {
        const std::size_t count = std::min(size / chunk_size, step);
        if (Error error = write_chunks(data, count); error.failed()) return error;
        part = count * chunk_size;
      } else {
        std::memcpy(buffer_.data() + filled_, data, part);
        filled_ += part;
        if (filled_ == chunk_size) {
          Error error = core::side_write(writer_, chunk_++, buffer_.data(), chunk_size, false);
          if (error.failed()) return error;
          filled_ = 0;
        }
      }
      data += part;
      size -= part;
      if (progress_ && !progress_(this->size(), 0)) return Error(Errc::aborted, "save", "");
    }
    return {};
  }

  Error write_chunks(const std::byte* data, std::size_t count) {
    const std::size_t chunk_size = buffer_.size();
    std::vector<std::vector<std::byte>> contents(pool_.size());
    Error error = pool_.each(count, [&](std::size_t i, std::size_t worker) {
      std::vector<std::byte>& content = contents[worker];
      content.assign(data + i * chunk_size, data + (i + 1) * chunk_size);
      return core::side_write(writer_, chunk_ + i, content.data(), chunk_size, false);
    });
    chunk_ += count;
    return error;
  }

  ThreadPool& pool_;
  core::SideFileWriter* writer_ = nullptr;
  ByteProgress progress_;
  std::vector<std::byte> buffer_;
  std::size_t filled_ = 0;
  std::uint64_t chunk_ = 0;
};

/// Reads a side file, whose chunks are read and checked by several threads where much is wanted at
/// once.
class SideSource final : public ByteSource {
 public:
  explicit SideSource(ThreadPool& pool, ByteProgress progress = {})
      : pool_(pool), progress_(std::move(progress)) {}
  ~SideSource() override {
    if (reader_ != nullptr) core::close_side_reader(reader_);
  }
  [[nodiscard]] Error open(const core::Target& target, std::string_view suffix) {
    if (Error error = core::open_side_reader(target, suffix, reader_); error.failed()) return error;
    buffer_.resize(reader_->chunk_size);
    return {};
  }
  [[nodiscard]] std::uint64_t remaining() const noexcept override {
    return reader_ == nullptr ? 0 : reader_->size - position_;
  }

 private:
  /// Chunks that are given to the threads at once.
  static constexpr std::uint64_t step = 64;

  Error take(std::byte* out, std::size_t size) override {
    const std::uint64_t chunk_size = reader_->chunk_size;
    while (size != 0) {
      const std::uint64_t chunk = position_ / chunk_size;
      const std::uint64_t offset = position_ % chunk_size;
      std::uint64_t got = 0;
      Error error;
      if (offset == 0 && size >= chunk_size && chunk + 1 < reader_->chunks) {
        const std::uint64_t count =
            std::min({size / chunk_size, reader_->chunks - 1 - chunk, step});
        error = read_chunks(chunk, count, out);
        got = count * chunk_size;
      } else {
        if (chunk != buffered_) error = core::side_read(reader_, chunk, 1, buffer_.data());
        if (!error.failed()) buffered_ = chunk;
        const std::uint64_t length =
            chunk + 1 < reader_->chunks ? chunk_size : reader_->size - chunk * chunk_size;
        got = std::min<std::uint64_t>(size, length - offset);
        std::memcpy(out, buffer_.data() + offset, got);
      }
      if (error.failed()) return error;
      position_ += got;
      out += got;
      size -= got;
      if (progress_ && !progress_(position_, reader_->size))
        return Error(Errc::aborted, "load", "");
    }
    // A last chunk that is empty says that nothing was cut off behind the others.
    const std::uint64_t last = reader_->chunks - 1;
    if (position_ == reader_->size && position_ == last * chunk_size) {
      return core::side_read(reader_, last, 1, buffer_.data());
    }
    return {};
  }

  Error read_chunks(std::uint64_t first, std::uint64_t count, std::byte* out) {
    return pool_.each(count, [&](std::size_t i, std::size_t) {
      return core::side_read(reader_, first + i, 1, out + i * reader_->chunk_size);
    });
  }

  ThreadPool& pool_;
  ByteProgress progress_;
  core::SideFileReader* reader_ = nullptr;
  std::vector<std::byte> buffer_;
  std::uint64_t buffered_ = ~std::uint64_t{0};
  std::uint64_t position_ = 0;
};

}  // namespace snkv::vector_detail
