/// \file
/// A snapshot of a collection: all that is in memory of it, as bytes.
///
///     snapshot = version u32, stamp, configuration, names, metadata index, graph
///
/// The bytes are those of a side file, which sees to it that they are what was written. Here they
/// are checked again where they could lead out of bounds. The order of the parts is their order in
/// time: the first are written from copies, the graph while it goes on growing.
#pragma once

#include <snkv/vector/detail/base/byte_stream.hpp>
#include <snkv/vector/detail/filter/metadata_index.hpp>
#include <snkv/vector/detail/index/index_core.hpp>
#include <snkv/vector/detail/rows/names.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace snkv::vector_detail {

/// Of which collection of which store a snapshot is, and of which moment.
struct ImageStamp {
  std::array<std::uint8_t, 16> store{};
  std::uint32_t collection = 0;
  std::uint64_t sequence = 0;
  std::uint64_t chain = 0;
  friend bool operator==(const ImageStamp&, const ImageStamp&) = default;
};

/// A moment of a collection, to be written later.
class FrozenImage {
 public:
  /// Names, metadata and index must agree now. Copies all but the index, so nothing need be held
  /// still afterwards. Throws std::bad_alloc.
  FrozenImage(const ImageStamp& stamp, IndexCore& index, const NameTable& names,
              const MetadataIndex& metadata)
      : index_(index), mark_(index.mark()) {
    copied_.number(format_version);
    copied_.write(stamp.store.data(), stamp.store.size());
    copied_.number(stamp.collection);
    copied_.number(stamp.sequence);
    copied_.number(stamp.chain);
    const IndexConfig config = index.config();
    copied_.number(static_cast<std::uint64_t>(config.dim));
    copied_.number(static_cast<std::uint8_t>(config.metric));
    copied_.number(static_cast<std::uint8_t>(config.type));
    copied_.number(config.m);
    copied_.number(config.ef_construction);
    names.write(copied_);
    metadata.write(copied_);
  }

  void write(ByteSink& sink) const {
    sink.write(copied_.bytes().data(), copied_.bytes().size());
    index_.write(sink, mark_);
  }

  static constexpr std::uint32_t format_version = 3;

 private:
  const IndexCore& index_;
  IndexCore::Mark mark_;
  MemorySink copied_;
};

/// The beginning of a snapshot. Whether it is the right one is for the caller to tell.
[[nodiscard]] inline ImageStamp read_stamp(ByteSource& source) {
  ImageStamp stamp;
  source.require(source.number<std::uint32_t>() == FrozenImage::format_version,
                 "the snapshot has another version");
  source.read(stamp.store.data(), stamp.store.size());
  stamp.collection = source.number<std::uint32_t>();
  stamp.sequence = source.number<std::uint64_t>();
  stamp.chain = source.number<std::uint64_t>();
  return stamp;
}

/// The rest of it, into an index that is new, and empty names and metadata. Numbers have to be
/// below `bound`. If the source has an error afterwards, names and metadata are of no use, and the
/// index is as before. Throws std::bad_alloc.
inline void read_image(ByteSource& source, const ImageStamp& stamp, IndexCore& index,
                       NameTable& names, MetadataIndex& metadata,
                       std::uint32_t bound = max_slots) {
  const IndexConfig config = index.config();
  const bool same = source.number<std::uint64_t>() == config.dim &&
                    source.number<std::uint8_t>() == static_cast<std::uint8_t>(config.metric) &&
                    source.number<std::uint8_t>() == static_cast<std::uint8_t>(config.type) &&
                    source.number<std::uint32_t>() == config.m &&
                    source.number<std::uint32_t>() == config.ef_construction;
  if (!source.require(same, "the snapshot is of another kind of collection")) return;
  names.read(source);
  if (!source.require(names.bound() <= bound, "there are not as many numbers")) return;
  metadata.read(source);
  for (std::uint32_t number = 0; number < names.bound() && !source.error().failed(); ++number) {
    source.require(names.contains(number) == metadata.contains(number) &&
                       names.changed(number) <= stamp.sequence,
                   "names and metadata do not agree");
  }
  if (!source.require(metadata.size() == names.live(), "names and metadata do not agree")) return;
  index.read(source, names.bound(), names.live(),
             [&](Label label) { return names.is_current(label); });
}

}  // namespace snkv::vector_detail
