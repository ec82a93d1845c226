#include "core/original_file.hpp"

#include "core/format.hpp"
#include "core/system_error.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace snkv::core {
namespace {

constexpr std::size_t header_size = 100;
constexpr std::size_t largest_depth = 32;

/// Numbers in the header of the file, which SQLite uses for other things.
constexpr std::size_t default_root_at = 40;
constexpr std::size_t family_count_at = 44;
constexpr std::size_t table_root_at = 48;

/// The kinds of pages of trees.
constexpr unsigned index_inner = 0x02;
constexpr unsigned table_inner = 0x05;
constexpr unsigned index_leaf = 0x0a;
constexpr unsigned table_leaf = 0x0d;

unsigned u8(const std::byte* at) noexcept { return std::to_integer<unsigned>(*at); }
std::uint32_t u16(const std::byte* at) noexcept { return u8(at) << 8 | u8(at + 1); }
std::uint32_t u32(const std::byte* at) noexcept { return u16(at) << 16 | u16(at + 2); }

/// Reads a variable-length number that ends before `end`; false if it does not.
bool read_varint(const std::byte*& at, const std::byte* end, std::uint64_t& out) noexcept {
  out = 0;
  for (int i = 0; i < 9; ++i) {
    if (at >= end) return false;
    const unsigned byte = u8(at++);
    if (i == 8) {
      out = out << 8 | byte;
      return true;
    }
    out = out << 7 | (byte & 0x7f);
    if (byte < 0x80) return true;
  }
  return true;
}

bool read_at(int file, void* to, std::size_t size, std::uint64_t offset) noexcept {
  auto* bytes = static_cast<char*>(to);
  while (size > 0) {
    const ::ssize_t got = ::pread(file, bytes, size, static_cast<::off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got == 0) errno = EIO;
    if (got <= 0) return false;
    bytes += got;
    size -= static_cast<std::size_t>(got);
    offset += static_cast<std::uint64_t>(got);
  }
  return true;
}

}  // namespace

bool OriginalEntry::parse(BytesView cell) noexcept {
  if (cell.size() < 4) return false;
  const std::uint32_t length = u32(cell.data());
  if (length == 0 || length > cell.size() - 4) return false;
  key = BytesView(cell.data() + 4, length);
  value = BytesView(cell.data() + 4 + length, cell.size() - 4 - length);
  return true;
}

// ---- OriginalFile ----

OriginalFile::~OriginalFile() {
  if (file_ >= 0) ::close(file_);
}

Error OriginalFile::corrupt(const char* operation, std::string_view what) const {
  return Error(Errc::corrupt, operation, fmt::format("{}: {}", path_, what));
}

Error OriginalFile::check_sidecars(const char* operation) const {
  for (const char* suffix : {"-wal", "-journal"}) {
    struct stat found {};
    if (::stat((path_ + suffix).c_str(), &found) == 0 && found.st_size > 0) {
      return Error(Errc::cant_open, operation,
                   fmt::format("{0} is not complete without {0}{1}: open and close it once with "
                               "SNKV's C library, which wrote it",
                               path_, suffix));
    }
  }
  return {};
}

Error OriginalFile::open(const char* operation, std::string path) {
  path_ = std::move(path);
  const auto system_error = [&](Errc code) {
    return Error(code, operation, fmt::format("{}: {}", path_, std::strerror(errno)));
  };
  if (path_.empty() || path_.find('\0') != std::string::npos) {
    return Error(Errc::invalid_argument, operation, "the path is empty or contains a NUL");
  }
  // Without waiting for a writer, should it be a pipe.
  file_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file_ < 0) return system_error(errc_of_errno(errno));
  struct stat info {};
  if (::fstat(file_, &info) != 0) return system_error(Errc::io_error);
  if (!S_ISREG(info.st_mode)) {
    return Error(Errc::cant_open, operation, fmt::format("{} is no file", path_));
  }
  mode_ = info.st_mode;
  Error error = read_header(operation, static_cast<std::uint64_t>(info.st_size));
  if (!error.failed()) error = check_sidecars(operation);
  if (!error.failed()) error = read_families(operation);
  return error;
}

Error OriginalFile::read_header(const char* operation, std::uint64_t file_size) {
  const auto refuse = [&](const char* why) {
    return Error(Errc::not_a_store, operation, fmt::format("{} {}", path_, why));
  };
  // With the header of page 1, which would be that of the schema.
  std::array<std::byte, header_size + 8> header{};
  if (file_size < header.size()) {
    // Made by a writer that was killed: all of it may be in the log.
    Error error = file_size == 0 ? check_sidecars(operation) : Error();
    return error.failed() ? error : refuse("is no database");
  }
  if (!read_at(file_, header.data(), header.size(), 0)) {
    return Error(errc_of_errno(errno), operation, fmt::format("{}: {}", path_, std::strerror(errno)));
  }
  if (std::memcmp(header.data(), "SQLite format 3", 16) != 0) return refuse("is no database");
  if (u32(&header[68]) == format::application_id) return refuse("is a store of this library already");
  // No schema, but numbers where SQLite would have a small one, and a zero.
  const bool has_schema = u8(&header[header_size]) != table_leaf || u16(&header[header_size + 3]) != 0;
  if (has_schema || u32(&header[family_count_at]) == 0 || u32(&header[table_root_at]) == 0) {
    // The numbers of a database whose first writer was killed are in the log still.
    Error error = has_schema ? Error() : check_sidecars(operation);
    return error.failed() ? error : refuse("is a database, but none of SNKV's C library");
  }
  page_size_ = u16(&header[16]) == 1 ? 65536 : u16(&header[16]);
  const std::uint32_t reserved = u8(&header[20]);
  if (page_size_ < 512 || (page_size_ & (page_size_ - 1)) != 0 || page_size_ - reserved < 480) {
    return corrupt(operation, "the page size is none");
  }
  usable_size_ = page_size_ - reserved;
  const std::uint64_t pages = std::min<std::uint64_t>(file_size / page_size_, 0xfffffffe);
  pages_ = static_cast<std::uint32_t>(pages);
  const bool counted = u32(&header[24]) == u32(&header[92]) && u32(&header[28]) != 0;
  if (counted && u32(&header[28]) > pages_) {
    return corrupt(operation, fmt::format("it has {} pages of {}: the end is missing", pages_,
                                          u32(&header[28])));
  }
  if (counted) pages_ = u32(&header[28]);
  default_root_ = u32(&header[default_root_at]);
  table_root_ = u32(&header[table_root_at]);
  return {};
}

Error OriginalFile::read_families(const char* operation) {
  if (default_root_ == 0) return corrupt(operation, "the default family has no tree");
  families_.push_back({std::string(format::default_family), default_root_});
  OriginalTree table(*this, table_root_, OriginalTree::Kind::table);
  for (;;) {
    bool found = false;
    if (Error error = table.next(operation, found); error.failed()) return error;
    if (!found) return {};
    // The length of the name, the name, the root page; nothing but a length of 0 for a dropped one.
    const BytesView row = table.payload();
    const std::uint32_t length = row.size() < 4 ? 0 : u32(row.data());
    if (row.size() == 4 && length == 0) continue;
    if (length == 0 || length > row.size() || row.size() != 4 + length + 4) {
      return corrupt(operation, "a row of the table of families is damaged");
    }
    std::string name = BytesView(row.data() + 4, length).str();
    // Nothing there keeps a program from making a family of the name that the default one goes by.
    if (name == format::default_family) name += "_2";
    if (root_of(name) != 0) return corrupt(operation, "two families have the same name");
    const std::uint32_t root = u32(row.data() + 4 + length);
    if (root == 0) return corrupt(operation, "a family has no tree");
    families_.push_back({std::move(name), root});
  }
}

std::uint32_t OriginalFile::root_of(std::string_view name) const noexcept {
  const auto found = std::find_if(families_.begin(), families_.end(),
                                  [&](const Family& family) { return family.name == name; });
  return found == families_.end() ? 0 : found->root;
}

Error OriginalFile::read_page(const char* operation, std::uint32_t number, Bytes& page) const {
  page.resize_for_overwrite(page_size_);
  const std::uint64_t offset = std::uint64_t{number - 1} * page_size_;
  if (read_at(file_, page.data(), page_size_, offset)) return {};
  return Error(errc_of_errno(errno), operation,
               fmt::format("{}, page {}: {}", path_, number, std::strerror(errno)));
}

// ---- OriginalTree ----

Error OriginalTree::damaged(const char* operation, std::uint32_t number,
                            std::string_view what) const {
  return file_.corrupt(operation, fmt::format("page {}: {}", number, what));
}

Error OriginalTree::visit(const char* operation, std::uint32_t number, Bytes& page) {
  if (number == 0 || number > file_.pages()) return damaged(operation, number, "there is no such page");
  if (visited_[number]) return damaged(operation, number, "it is in two places");
  visited_[number] = true;
  ++pages_read_;
  return file_.read_page(operation, number, page);
}

Error OriginalTree::enter(const char* operation, std::uint32_t number) {
  if (levels_.size() == largest_depth) return damaged(operation, number, "the tree is too deep");
  Level level;
  if (Error error = visit(operation, number, level.page); error.failed()) return error;
  level.number = number;
  level.header = number == 1 ? header_size : 0;
  const std::byte* const header = level.page.data() + level.header;
  const unsigned type = u8(header);
  const unsigned leaf = kind_ == Kind::index ? index_leaf : table_leaf;
  const unsigned inner = kind_ == Kind::index ? index_inner : table_inner;
  if (type != leaf && type != inner) return damaged(operation, number, "it is no page of this tree");
  level.leaf = type == leaf;
  level.cells = u16(header + 3);
  if (level.header + (level.leaf ? 8 : 12) + 2 * level.cells > file_.usable_size()) {
    return damaged(operation, number, "it has more cells than room");
  }
  levels_.push_back(std::move(level));
  return {};
}

Error OriginalTree::cell_offset(const char* operation, const Level& level, std::uint32_t cell,
                                std::uint32_t& offset) const {
  const std::uint32_t pointers = level.header + (level.leaf ? 8 : 12);
  offset = u16(level.page.data() + pointers + 2 * cell);
  // Each cell has four bytes at least.
  if (offset >= pointers + 2 * level.cells && offset + 4 <= file_.usable_size()) return {};
  return damaged(operation, level.number, "a cell lies outside of it");
}

Error OriginalTree::child_of(const char* operation, const Level& level, std::uint32_t& child) const {
  std::uint32_t offset = level.header + 8;
  if (level.next < level.cells) {
    if (Error error = cell_offset(operation, level, level.next, offset); error.failed()) return error;
  }
  child = u32(level.page.data() + offset);
  return {};
}

Error OriginalTree::next(const char* operation, bool& found) {
  found = false;
  if (!begun_) {
    begun_ = true;
    if (Error error = enter(operation, root_); error.failed()) return error;
  }
  while (!levels_.empty()) {
    Level& level = levels_.back();
    if (!level.leaf && !level.child_visited) {
      level.child_visited = true;
      std::uint32_t child = 0;
      Error error = child_of(operation, level, child);
      if (!error.failed()) error = enter(operation, child);
      if (error.failed()) return error;
      continue;
    }
    if (level.next == level.cells) {
      levels_.pop_back();
      continue;
    }
    level.child_visited = false;
    const std::uint32_t cell = level.next++;
    // Inner cells of a table are no rows.
    if (!level.leaf && kind_ == Kind::table) continue;
    found = true;
    return read_cell(operation, level, cell);
  }
  return {};
}

Error OriginalTree::read_cell(const char* operation, const Level& level, std::uint32_t cell) {
  std::uint32_t offset = 0;
  if (Error error = cell_offset(operation, level, cell, offset); error.failed()) return error;
  const std::byte* at = level.page.data() + offset + (level.leaf ? 0 : 4);
  const std::byte* const end = level.page.data() + file_.usable_size();
  std::uint64_t size = 0;
  std::uint64_t rowid = 0;
  if (!read_varint(at, end, size) || (kind_ == Kind::table && !read_varint(at, end, rowid))) {
    return damaged(operation, level.number, "a cell ends too early");
  }
  // How much of it lies in the page, and how much on others (SQLite's file format, section 1.6).
  const std::uint64_t usable = file_.usable_size();
  const std::uint64_t most = kind_ == Kind::table ? usable - 35 : (usable - 12) * 64 / 255 - 23;
  const std::uint64_t least = (usable - 12) * 32 / 255 - 23;
  std::uint64_t local = size;
  if (size > most) {
    if (size > file_.pages() * usable) return damaged(operation, level.number, "a cell is too large");
    local = least + (size - least) % (usable - 4);
    if (local > most) local = least;
  }
  const auto room = static_cast<std::uint64_t>(end - at);
  if (local + (local < size ? 4 : 0) > room) {
    return damaged(operation, level.number, "a cell ends too early");
  }
  payload_ = BytesView(at, local);
  if (local == size) return {};
  collected_.assign(payload_.view());
  return read_overflow(operation, u32(at + local), size);
}

Error OriginalTree::read_overflow(const char* operation, std::uint32_t number, std::uint64_t size) {
  Bytes page;
  while (collected_.size() < size) {
    if (Error error = visit(operation, number, page); error.failed()) return error;
    const std::uint64_t part =
        std::min<std::uint64_t>(file_.usable_size() - 4, size - collected_.size());
    collected_ += BytesView(page.data() + 4, part).view();
    number = u32(page.data());
  }
  payload_ = BytesView(collected_);
  return {};
}

}  // namespace snkv::core
