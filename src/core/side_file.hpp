/// \file
/// Side files: what a layer above the core keeps beside the store's file and can make anew.
///
///     file   = header, chunk ..., last chunk
///     header = "snkvside", version u32, sealing u32, chunk size u32, zero u32, id 16 bytes,
///              BLAKE2b-256 of the bytes before
///     chunk  = content, `chunk size` bytes of it but for the last chunk, then a tag of 16 bytes
///
/// Numbers are little-endian. The content is a stream of bytes. The tag is bound to the id, to the
/// place of the chunk, and to whether it is the last one, so that chunks can be neither moved nor
/// left out. There is always a last chunk, be it empty.
#pragma once

#include "core/unfinished_file.hpp"

#include <snkv/detail/core_abi.hpp>
#include <snkv/error.hpp>

#include <sys/uio.h>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace snkv::core {

/// How the chunks of a side file are kept from being changed.
class SideSeal {
 public:
  static constexpr std::size_t tag_size = 16;
  using Id = std::array<std::uint8_t, 16>;
  struct Place {
    std::uint64_t chunk = 0;
    std::uint64_t is_last = 0;
  };

  SideSeal() = default;
  SideSeal(const SideSeal&) = delete;
  SideSeal& operator=(const SideSeal&) = delete;
  virtual ~SideSeal() = default;

  /// What is in the header for it.
  [[nodiscard]] virtual std::uint32_t number() const noexcept = 0;
  /// Makes `content` what the file gets, and its tag.
  virtual void seal(const Id& id, Place place, std::byte* content, std::size_t size,
                    std::byte* tag) const noexcept = 0;
  /// The opposite; false if content and tag do not belong together there.
  [[nodiscard]] virtual bool open(const Id& id, Place place, std::byte* content, std::size_t size,
                                  const std::byte* tag) const noexcept = 0;
};

/// The seal of the side files of a store.
[[nodiscard]] std::unique_ptr<const SideSeal> make_side_seal(const StoreState& store);

/// A side file that is being written, under a name of its own, which goes away unless `publish` is
/// called.
struct NewSideFile : SideFileWriter {
 public:
  NewSideFile() = default;
  NewSideFile(const NewSideFile&) = delete;
  NewSideFile& operator=(const NewSideFile&) = delete;
  ~NewSideFile();

  [[nodiscard]] Error create(const StoreState& store, std::string path);
  [[nodiscard]] Error write(std::uint64_t chunk, std::byte* content, std::size_t size,
                            bool is_last) const;
  /// Waits until all is on the disk.
  [[nodiscard]] Error finish();
  /// Puts the finished file in the place of the one that there was.
  [[nodiscard]] Error publish();

 private:
  [[nodiscard]] Error write_at(std::uint64_t offset, std::array<::iovec, 2> parts) const;

  std::unique_ptr<const SideSeal> seal_;
  SideSeal::Id id_{};
  UnfinishedFile unfinished_;
  int file_ = -1;
};

/// A side file that is being read.
struct OpenSideFile : SideFileReader {
 public:
  OpenSideFile() = default;
  OpenSideFile(const OpenSideFile&) = delete;
  OpenSideFile& operator=(const OpenSideFile&) = delete;
  ~OpenSideFile();

  /// `not_found` if there is none.
  [[nodiscard]] Error open(const StoreState& store, std::string path);
  [[nodiscard]] Error read(std::uint64_t first, std::uint64_t count, std::byte* out) const;

 private:
  std::unique_ptr<const SideSeal> seal_;
  SideSeal::Id id_{};
  std::string path_;
  int file_ = -1;
};

}  // namespace snkv::core
