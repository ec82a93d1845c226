// What a program asks of the disk, in order, and what a power cut could leave of it.
//
// The linker sends the calls of the library and of its engine here (--wrap, see CMakeLists.txt). A
// model of the disk then says which images are possible at any moment: what was synced is there; of
// what was not, each write, each truncation and each name is there or not, independent of all
// others, and a write may be there in part, sector by sector.
#pragma once

#include "process.hpp"

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace snkv::test {

struct DiskEvent {
  enum class Kind : std::uint8_t {
    create,       ///< `path` becomes `file`
    write,        ///< `data` at `offset` of `file`
    truncate,     ///< `file` gets the size `offset`
    sync,         ///< of what `file` was after the first `offset` events
    rename,       ///< `path` to `data`
    exchange,     ///< the names `path` and `data`
    unlink,       ///< `path`
    sync_folder,  ///< of the names
    begun,        ///< unit `offset` may happen from now on
    durable,      ///< unit `offset` must be there from now on
  };
  Kind kind = Kind::write;
  std::uint32_t file = 0;
  std::uint64_t offset = 0;
  std::string path{};
  std::string data{};
};

/// Records what happens in one folder. One recording at a time; the files of the log's index, which
/// no power cut outlives, are left out.
class DiskRecording {
 public:
  explicit DiskRecording(const std::filesystem::path& folder);
  DiskRecording(const DiskRecording&) = delete;
  DiskRecording& operator=(const DiskRecording&) = delete;
  ~DiskRecording() { stop(); }

  void begun(std::uint64_t unit);
  void durable(std::uint64_t unit);
  void stop() noexcept;
  [[nodiscard]] const std::vector<DiskEvent>& events() const noexcept { return events_; }

 private:
  std::vector<DiskEvent> events_;
};

/// The disk as it is while a recording is played back.
class Disk {
 public:
  /// `lie`: syncing does nothing, as with a disk that only says it does.
  explicit Disk(bool lie) noexcept : lie_(lie) {}

  void play(const DiskEvent& event);
  /// Puts one of the possible images into an empty folder.
  void leave_image(Random& random, const std::filesystem::path& folder) const;
  /// Whether a file has been given the name of another, which is not yet safe.
  [[nodiscard]] bool is_renaming() const noexcept;
  /// The numbers that the image must and may contain.
  [[nodiscard]] std::uint64_t durable() const noexcept { return durable_; }
  [[nodiscard]] std::uint64_t begun() const noexcept { return begun_; }

 private:
  struct Pending {
    DiskEvent event;
    std::uint64_t number;
  };
  struct File {
    std::string synced;
    std::vector<Pending> pending;
  };
  using Names = std::map<std::string, std::uint32_t, std::less<>>;

  static void apply_name(const DiskEvent& event, Names& names);
  static void apply(const DiskEvent& event, std::string& content);
  [[nodiscard]] static std::string content(const File& file, Random& random);

  bool lie_;
  std::uint64_t played_ = 0;
  std::map<std::uint32_t, File> files_;
  Names synced_names_;
  std::vector<DiskEvent> pending_names_;
  std::uint64_t durable_ = 0;
  std::uint64_t begun_ = 0;
};

}  // namespace snkv::test
