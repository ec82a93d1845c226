/// \file
/// A generation out of an index file of hnswlib, and the other way round.
#pragma once

#include <snkv/vector/detail/graph/hnswlib_file.hpp>
#include <snkv/vector/detail/index/generation.hpp>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

namespace snkv::vector_detail {

/// Fills an empty generation, whose graph has the `m` of the file. `label_for(label, out)` gives the label here for
/// one of the file, or an error.
template <class LabelFor>
[[nodiscard]] Error read_hnswlib(HnswlibReader& reader, Generation& out, LabelFor&& label_for) {
  Graph& graph = out.graph;
  const std::size_t dim = graph.codec().dim();
  const std::size_t most = graph.capacity(0);
  graph.reserve(reader.count());
  std::vector<float> vector(dim);
  // Links lead to elements that come later.
  std::vector<Slot> links(std::size_t{reader.count()} * most);
  std::vector<std::uint8_t> counts(reader.count());
  std::vector<Slot> deleted;
  for (Slot slot = 0; slot < reader.count(); ++slot) {
    HnswlibReader::Element element;
    std::size_t count = 0;
    if (Error error = reader.next(element, vector.data(), links.data() + slot * most, count); error.failed()) {
      return error;
    }
    counts[slot] = static_cast<std::uint8_t>(count);
    Label label = 0;
    if (Error error = label_for(element.label, vector.data(), label); error.failed()) return error;
    prepare_vector(graph.codec().metric(), vector.data(), dim, vector.data());
    out.adopt(vector.data(), label, reader.level(slot));
    if (element.is_deleted) deleted.push_back(slot);
  }
  const auto give = [&](Slot slot, unsigned level, Slot* from, std::size_t count) {
    std::sort(from, from + count);
    count = static_cast<std::size_t>(std::unique(from, from + count) - from);
    graph.set_links(slot, level, from, count);
  };
  std::vector<Slot> upper(graph.capacity(1));
  for (Slot slot = 0; slot < reader.count(); ++slot) {
    give(slot, 0, links.data() + slot * most, counts[slot]);
    for (unsigned level = 1; level <= reader.level(slot); ++level) {
      std::size_t count = 0;
      if (Error error = reader.upper_links(slot, level, upper.data(), count); error.failed()) return error;
      give(slot, level, upper.data(), count);
    }
  }
  if (reader.count() == 0) return {};
  graph.set_entry(reader.entry());
  out.set_linked(graph.size());
  for (const Slot slot : deleted) static_cast<void>(out.erase(number_of(graph.label(slot))));
  // hnswlib leaves elements to which nothing leads.
  const Generation::Loan loan(out);
  for (Slot slot = 0; slot < graph.size(); ++slot) {
    if (graph.is_hard_to_find(slot)) graph.make_found(slot, *loan);
  }
  (*loan).suspects.clear();
  return {};
}

/// Links as a file of hnswlib has them, which knows no chains: a copy is linked with the next one and with the first,
/// and has the links of the first.
class HnswlibLinks {
 public:
  explicit HnswlibLinks(const Graph& graph) : graph_(graph), first_(graph.size(), no_slot) {
    for (Slot first = 0; first < graph.size(); ++first) {
      if (graph.is_copy(first)) continue;
      for (Slot copy = graph.next_copy(first); copy != no_slot; copy = graph.next_copy(copy)) first_[copy] = first;
    }
  }

  /// Returns how many there are; `out` has room for all that there may be.
  std::size_t operator()(Slot slot, unsigned level, Slot* out) const {
    const std::size_t most = graph_.capacity(level);
    std::size_t count = 0;
    if (level == 0) {
      for (const Slot other : {graph_.next_copy(slot), first_[slot]}) {
        if (other != no_slot) out[count++] = other;
      }
    } else if (graph_.is_copy(slot)) {
      return 0;
    }
    std::vector<Slot> links(most);
    links.resize(graph_.links_of(graph_.is_copy(slot) ? first_[slot] : slot, level, links.data()));
    for (std::size_t i = 0; i < links.size() && count < most; ++i) out[count++] = links[i];
    return count;
  }

 private:
  const Graph& graph_;
  std::vector<Slot> first_;
};

/// Writes a generation without dead slots. `label_of(slot)` gives the label for the file. The file has its name
/// when it is complete and on the disk.
template <class LabelOf>
[[nodiscard]] Error write_hnswlib(const char* operation, const std::string& path, const Generation& from,
                                  LabelOf&& label_of) {
  const Graph& graph = from.graph;
  const std::size_t dim = graph.codec().dim();
  const std::size_t m = graph.capacity(1);
  const std::string temporary = path + ".tmp-" + std::to_string(::getpid());
  const auto failed = [&](int reason) {
    const Errc code = reason == ENOSPC || reason == EDQUOT ? Errc::full : Errc::io_error;
    return hnswlib_file_error(code, operation, path, std::strerror(reason));
  };
  static_cast<void>(::unlink(temporary.c_str()));
  const int descriptor = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (descriptor < 0) return hnswlib_file_error(Errc::cant_open, operation, path, std::strerror(errno));
  StdFile file(::fdopen(descriptor, "wb"));
  if (file == nullptr) {
    ::close(descriptor);
    return failed(errno);
  }
  struct Remove {
    const char* name;
    ~Remove() {
      if (name != nullptr) ::unlink(name);
    }
  } unfinished{temporary.c_str()};

  HnswlibHead head;
  head.count = head.max_elements = graph.size();
  head.max_m = head.m = m;
  head.max_m0 = graph.capacity(0);
  head.data_offset = (head.max_m0 + 1) * sizeof(Slot);
  head.label_offset = head.data_offset + dim * sizeof(float);
  head.element = head.label_offset + sizeof(std::uint64_t);
  head.top_level = graph.top_level();
  head.entry = graph.entry();
  head.mult = 1.0 / std::log(static_cast<double>(m));
  head.ef_construction = graph.ef_construction();
  const auto put = [&](const void* data, std::size_t size) { return std::fwrite(data, size, 1, file.get()) == 1; };
  bool good = put(&head, sizeof head);
  std::vector<std::byte> row(head.element);
  std::vector<Slot> list(head.max_m0 + 1);
  const HnswlibLinks links(graph);
  const auto take_list = [&](Slot slot, unsigned level) {
    std::fill(list.begin(), list.end(), 0);
    list[0] = static_cast<Slot>(links(slot, level, list.data() + 1));
  };
  std::vector<float> decoded(dim);
  for (Slot slot = 0; good && slot < graph.size(); ++slot) {
    take_list(slot, 0);
    std::memcpy(row.data(), list.data(), head.data_offset);
    if (from.has_exact()) {
      std::memcpy(row.data() + head.data_offset, from.exact(slot), dim * sizeof(float));
    } else {
      graph.codec().decode(graph.code(slot), decoded.data());
      std::memcpy(row.data() + head.data_offset, decoded.data(), dim * sizeof(float));
    }
    const std::uint64_t label = label_of(slot);
    std::memcpy(row.data() + head.label_offset, &label, sizeof label);
    good = put(row.data(), row.size());
  }
  for (Slot slot = 0; good && slot < graph.size(); ++slot) {
    const auto bytes = static_cast<std::uint32_t>(graph.level(slot) * (m + 1) * sizeof(Slot));
    good = put(&bytes, sizeof bytes);
    for (unsigned level = 1; good && level <= graph.level(slot); ++level) {
      take_list(slot, level);
      good = put(list.data(), (m + 1) * sizeof(Slot));
    }
  }
  if (!good || std::fflush(file.get()) != 0 || ::fsync(::fileno(file.get())) != 0) return failed(errno);
  if (::rename(temporary.c_str(), path.c_str()) != 0) return failed(errno);
  unfinished.name = nullptr;
  return {};
}

}  // namespace snkv::vector_detail
