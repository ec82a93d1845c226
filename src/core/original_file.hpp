/// \file
/// Reading databases of SNKV's C library. They are files of SQLite pages, without a schema: the header
/// tells where the tree of the default family and the table of the others are. Trees of families are
/// index B-trees whose cells are no records but key and value.
///
/// Nothing in such a file is believed: every number is checked against what is there, no page is
/// visited twice by one walk, and no more memory is taken than the file has bytes.
#pragma once

#include <snkv/bytes.hpp>
#include <snkv/error.hpp>

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace snkv::core {

/// A cell of the tree of a family.
struct OriginalEntry {
  BytesView key;
  BytesView value;

  /// Takes a cell apart: the length of the key, the key, the value. False if that cannot be.
  [[nodiscard]] bool parse(BytesView cell) noexcept;
};

class OriginalFile {
 public:
  struct Family {
    std::string name;
    std::uint32_t root = 0;
  };

  OriginalFile() = default;
  OriginalFile(const OriginalFile&) = delete;
  OriginalFile& operator=(const OriginalFile&) = delete;
  ~OriginalFile();

  /// `cant_open`, also for a database whose log was not copied into it; `not_a_store` for a file of
  /// another kind; `corrupt`.
  [[nodiscard]] Error open(const char* operation, std::string path);

  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  /// Who may do what with the file.
  [[nodiscard]] ::mode_t mode() const noexcept { return mode_; }
  [[nodiscard]] std::uint32_t page_size() const noexcept { return page_size_; }
  /// Bytes of a page that may be used.
  [[nodiscard]] std::uint32_t usable_size() const noexcept { return usable_size_; }
  [[nodiscard]] std::uint32_t pages() const noexcept { return pages_; }

  /// All families: "default" first, then the others, hidden ones included, as they come.
  [[nodiscard]] const std::vector<Family>& families() const noexcept { return families_; }
  /// The root page of a family; 0 if there is none of that name.
  [[nodiscard]] std::uint32_t root_of(std::string_view name) const noexcept;

  [[nodiscard]] Error read_page(const char* operation, std::uint32_t number, Bytes& page) const;
  [[nodiscard]] Error corrupt(const char* operation, std::string_view what) const;

 private:
  [[nodiscard]] Error check_sidecars(const char* operation) const;
  [[nodiscard]] Error read_header(const char* operation, std::uint64_t file_size);
  [[nodiscard]] Error read_families(const char* operation);

  std::string path_;
  int file_ = -1;
  ::mode_t mode_ = 0;
  std::uint32_t page_size_ = 0;
  std::uint32_t usable_size_ = 0;
  std::uint32_t pages_ = 0;
  std::uint32_t default_root_ = 0;
  std::uint32_t table_root_ = 0;
  std::vector<Family> families_;
};

/// A walk through the cells of a tree, in order.
class OriginalTree {
 public:
  enum class Kind { table, index };

  OriginalTree(const OriginalFile& file, std::uint32_t root, Kind kind)
      : file_(file), kind_(kind), root_(root), visited_(file.pages() + std::size_t{1}) {}

  /// Goes to the next cell; `found` is false at the end.
  [[nodiscard]] Error next(const char* operation, bool& found);
  /// What is in the cell; until the next move.
  [[nodiscard]] BytesView payload() const noexcept { return payload_; }
  [[nodiscard]] std::uint64_t pages_read() const noexcept { return pages_read_; }

 private:
  struct Level {
    Bytes page;
    std::uint32_t number = 0;
    std::uint32_t header = 0;  ///< where the header of the page begins
    std::uint32_t cells = 0;
    std::uint32_t next = 0;  ///< the cell, or its child, that comes next
    bool leaf = false;
    bool child_visited = false;  ///< the child of `next`
  };

  [[nodiscard]] Error visit(const char* operation, std::uint32_t number, Bytes& page);
  [[nodiscard]] Error enter(const char* operation, std::uint32_t number);
  [[nodiscard]] Error child_of(const char* operation, const Level& level, std::uint32_t& child) const;
  [[nodiscard]] Error read_cell(const char* operation, const Level& level, std::uint32_t cell);
  [[nodiscard]] Error read_overflow(const char* operation, std::uint32_t number, std::uint64_t size);
  [[nodiscard]] Error cell_offset(const char* operation, const Level& level, std::uint32_t cell,
                                  std::uint32_t& offset) const;
  [[nodiscard]] Error damaged(const char* operation, std::uint32_t number,
                              std::string_view what) const;

  const OriginalFile& file_;
  Kind kind_;
  std::uint32_t root_;
  std::vector<bool> visited_;
  std::vector<Level> levels_;
  bool begun_ = false;
  std::uint64_t pages_read_ = 0;
  BytesView payload_;
  std::string collected_;  ///< a payload that does not lie in one page
};

}  // namespace snkv::core
