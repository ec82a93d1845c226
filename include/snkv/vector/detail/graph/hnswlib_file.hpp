/// \file
/// Index files of hnswlib 0.8, as a 64-bit little-endian machine writes them (`HierarchicalNSW::saveIndex`):
///
///     head                 96 bytes, see `HnswlibHead`
///     element, for each    links on level 0, vector, label: where in it, the head says
///     upper lists          for each element: bytes u32, then a list for each level from 1 up
///
/// A list is a word with the number of links in its low half, then room for all. On level 0 bit 16 of the word
/// marks a deleted element. The file says neither its dimensions nor its metric, and has no checksum: everything
/// in it is checked before it is used.
#pragma once

#include <snkv/error.hpp>
#include <snkv/vector/detail/graph/scratch.hpp>

#include <cerrno>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace snkv::vector_detail {

struct HnswlibHead {
  std::uint64_t offset_level0 = 0;
  std::uint64_t max_elements = 0;
  std::uint64_t count = 0;
  std::uint64_t element = 0;  // bytes
  std::uint64_t label_offset = 0;
  std::uint64_t data_offset = 0;
  std::int32_t top_level = 0;
  std::uint32_t entry = 0;
  std::uint64_t max_m = 0;
  std::uint64_t max_m0 = 0;
  std::uint64_t m = 0;
  double mult = 0;
  std::uint64_t ef_construction = 0;
};
static_assert(sizeof(HnswlibHead) == 96);

struct CloseFile {
  void operator()(std::FILE* file) const noexcept { std::fclose(file); }
};
using StdFile = std::unique_ptr<std::FILE, CloseFile>;

[[nodiscard]] inline Error hnswlib_file_error(Errc code, const char* operation, const std::string& path,
                                              const std::string& why) {
  return Error(code, operation, path + ": " + why);
}

/// A file that is read once, from front to back but for the upper lists, which `open` takes into memory.
class HnswlibReader {
 public:
  static constexpr unsigned highest_level = 30;

  /// `cant_open`, `corrupt`, or `dimension_mismatch`; the message names the file. `dim` 0: what the file has.
  [[nodiscard]] Error open(const char* operation, const std::string& path, std::size_t dim) {
    operation_ = operation;
    path_ = path;
    dim_ = dim;
    const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat info {};
    if (descriptor < 0) return refuse(Errc::cant_open, std::strerror(errno));
    file_.reset(::fdopen(descriptor, "rb"));
    if (file_ == nullptr) {
      ::close(descriptor);
      return refuse(Errc::cant_open, std::strerror(errno));
    }
    if (::fstat(descriptor, &info) != 0 || !S_ISREG(info.st_mode)) return refuse(Errc::cant_open, "no regular file");
    size_ = static_cast<std::uint64_t>(info.st_size);
    if (Error error = read_head(); error.failed()) return error;
    if (Error error = read_upper_lists(); error.failed()) return error;
    row_.resize(head_.element);
    return seek(sizeof head_) ? Error() : refuse(Errc::io_error, std::strerror(errno));
  }

  [[nodiscard]] std::size_t dim() const noexcept { return dim_; }
  [[nodiscard]] Slot count() const noexcept { return static_cast<Slot>(head_.count); }
  [[nodiscard]] Slot entry() const noexcept { return head_.entry; }
  [[nodiscard]] std::uint32_t m() const noexcept { return static_cast<std::uint32_t>(head_.m); }
  [[nodiscard]] std::uint64_t ef_construction() const noexcept { return head_.ef_construction; }
  [[nodiscard]] unsigned level(Slot slot) const noexcept { return levels_[slot]; }

  struct Element {
    std::uint64_t label = 0;
    bool is_deleted = false;
  };
  /// The next element; `vector` has room for all dimensions, `links` for 2 m.
  [[nodiscard]] Error next(Element& out, float* vector, Slot* links, std::size_t& link_count) {
    if (std::fread(row_.data(), row_.size(), 1, file_.get()) != 1) {
      return refuse(std::ferror(file_.get()) != 0 ? Errc::io_error : Errc::corrupt, "elements are missing");
    }
    const Slot slot = read_++;
    std::memcpy(&out.label, row_.data() + head_.label_offset, sizeof out.label);
    std::memcpy(vector, row_.data() + head_.data_offset, dim_ * sizeof(float));
    for (std::size_t d = 0; d < dim_; ++d) {
      if (!std::isfinite(vector[d])) {
        return refuse(Errc::bad_vector, "the vector of label " + std::to_string(out.label) + " is not finite");
      }
    }
    std::uint32_t word = 0;
    std::memcpy(&word, row_.data() + head_.offset_level0, sizeof word);
    out.is_deleted = (word & deleted) != 0;
    return take_links(slot, 0, word, row_.data() + head_.offset_level0 + sizeof word, links, link_count);
  }
  /// Links of any element on a level from 1 up; `links` has room for m.
  [[nodiscard]] Error upper_links(Slot slot, unsigned level, Slot* links, std::size_t& link_count) const {
    const std::byte* const list = upper_.data() + starts_[slot] + (level - 1) * upper_list();
    std::uint32_t word = 0;
    std::memcpy(&word, list, sizeof word);
    return take_links(slot, level, word, list + sizeof word, links, link_count);
  }

 private:
  static constexpr std::uint32_t deleted = 0x10000;

  [[nodiscard]] Error refuse(Errc code, const std::string& why) const {
    return hnswlib_file_error(code, operation_, path_, why);
  }
  [[nodiscard]] bool seek(std::uint64_t to) {
    return ::fseeko(file_.get(), static_cast<::off_t>(to), SEEK_SET) == 0;
  }
  [[nodiscard]] std::size_t upper_list() const noexcept { return (head_.m + 1) * sizeof(Slot); }

  [[nodiscard]] Error read_head() {
    if (std::fread(&head_, sizeof head_, 1, file_.get()) != 1) return refuse(Errc::corrupt, "is no index of hnswlib");
    const HnswlibHead& head = head_;
    if (head.m < 2 || head.m > 64 || head.max_m != head.m || head.max_m0 != 2 * head.m) {
      return refuse(Errc::corrupt, "is no index of hnswlib, or its M is not 2 to 64");
    }
    const std::uint64_t links = (head.max_m0 + 1) * sizeof(Slot);
    if (head.offset_level0 != 0 || head.data_offset != links || head.label_offset < links ||
        head.element != head.label_offset + sizeof(std::uint64_t) || head.element > (1u << 20)) {
      return refuse(Errc::corrupt, "has elements of another form");
    }
    if (dim_ == 0) dim_ = (head.label_offset - links) / sizeof(float);
    if (dim_ == 0 || head.label_offset - links != dim_ * sizeof(float)) {
      return refuse(Errc::dimension_mismatch, "has vectors of " + std::to_string(head.label_offset - links) +
                                                  " bytes, not of " + std::to_string(dim_) + " floats");
    }
    if (head.count > max_slots || head.count > (size_ - sizeof head) / head.element) {
      return refuse(Errc::corrupt, "elements are missing");
    }
    return {};
  }

  [[nodiscard]] Error read_upper_lists() {
    if (!seek(sizeof head_ + head_.count * head_.element)) return refuse(Errc::io_error, std::strerror(errno));
    upper_.resize(size_ - sizeof head_ - head_.count * head_.element);
    if (!upper_.empty() && std::fread(upper_.data(), upper_.size(), 1, file_.get()) != 1) {
      return refuse(Errc::io_error, "could not be read to its end");
    }
    levels_.reserve(head_.count);
    starts_.reserve(head_.count);
    std::size_t at = 0;
    for (Slot slot = 0; slot < count(); ++slot) {
      std::uint32_t bytes = 0;
      if (upper_.size() - at < sizeof bytes) return refuse(Errc::corrupt, "levels are missing");
      std::memcpy(&bytes, upper_.data() + at, sizeof bytes);
      at += sizeof bytes;
      if (bytes > upper_.size() - at || bytes % upper_list() != 0 || bytes / upper_list() > highest_level) {
        return refuse(Errc::corrupt, "element " + std::to_string(slot) + " has damaged upper lists");
      }
      levels_.push_back(static_cast<std::uint8_t>(bytes / upper_list()));
      starts_.push_back(at);
      at += bytes;
    }
    if (at != upper_.size()) return refuse(Errc::corrupt, "has more than it says");
    if (count() == 0) return {};
    if (head_.entry >= count() || head_.top_level != levels_[head_.entry]) {
      return refuse(Errc::corrupt, "has a damaged entry point");
    }
    return {};
  }

  [[nodiscard]] Error take_links(Slot slot, unsigned level, std::uint32_t word, const std::byte* from, Slot* links,
                                 std::size_t& link_count) const {
    link_count = word & 0xffff;
    bool sound = link_count <= (level == 0 ? head_.max_m0 : head_.m);
    if (sound && link_count != 0) std::memcpy(links, from, link_count * sizeof(Slot));
    for (std::size_t i = 0; sound && i < link_count; ++i) {
      sound = links[i] < count() && links[i] != slot && levels_[links[i]] >= level;
    }
    if (sound) return {};
    return refuse(Errc::corrupt, "element " + std::to_string(slot) + " has a link that leads nowhere");
  }

  const char* operation_ = "";
  std::string path_;
  std::size_t dim_ = 0;
  StdFile file_;
  std::uint64_t size_ = 0;
  HnswlibHead head_;
  Slot read_ = 0;
  std::vector<std::byte> row_;
  std::vector<std::byte> upper_;
  std::vector<std::uint8_t> levels_;
  std::vector<std::size_t> starts_;
};

}  // namespace snkv::vector_detail
