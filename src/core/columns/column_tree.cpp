#include "core/columns/column_tree.hpp"

#include "core/columns/little_endian.hpp"

#include <algorithm>

namespace snkv::core {

Error read_column_node(ColumnRows& rows, std::uint64_t id, std::uint64_t expected, Bytes& buffer,
                       std::vector<ColumnEntry>& out) {
  BytesView content;
  if (Error error = rows.read(id, buffer, content); error.failed()) return error;
  if (content.empty() || content.size() % ColumnEntry::size != 0) {
    return rows.broken(id, "is not a node of its tree");
  }
  out.resize(content.size() / ColumnEntry::size);
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < out.size(); ++i) {
    const std::byte* at = content.data() + i * ColumnEntry::size;
    out[i] = {little_endian(at, 8), little_endian(at + 8, 8)};
    if (out[i].row == 0 || out[i].count == 0 || out[i].count > max_column_extent) {
      return rows.broken(id, "is not a node of its tree");
    }
    sum += out[i].count;
  }
  if (sum != expected) return rows.broken(id, "does not count what its tree says");
  return {};
}

Error ColumnTree::load(const ColumnEntry& node, Children& out) {
  return read_column_node(rows_, node.row, node.count, buffer_, out);
}

Error ColumnTree::replace(std::uint64_t extent, std::uint64_t begin, std::uint64_t end,
                          std::span<const ColumnEntry> fresh,
                          const std::function<Error(std::uint64_t)>& erased) {
  erased_ = &erased;
  std::vector<Written> top;
  if (state_.height == 0) {
    if (fresh.empty()) return {};
    state_.height = 1;
    if (Error error = write_nodes({fresh.begin(), fresh.end()}, 0, top); error.failed())
      return error;
  } else {
    Error error = replace_in(state_.height, {state_.root, extent}, begin, end, fresh, top);
    if (error.failed()) return error;
  }
  while (top.size() > 1) {
    Children entries;
    for (const Written& node : top) entries.push_back(node.entry);
    top.clear();
    ++state_.height;
    if (Error error = write_nodes(entries, 0, top); error.failed()) return error;
  }
  if (top.empty()) {
    state_.height = 0;
    state_.root = 0;
    return {};
  }
  ColumnEntry root = top.front().entry;
  std::size_t entries = top.front().entries;
  // A node above a single one is of no use.
  while (state_.height > 1 && entries == 1) {
    Children children;
    if (Error error = load(root, children); error.failed()) return error;
    if (Error error = writer_.erase(root.row); error.failed()) return error;
    rows_.forget();
    root = children.front();
    --state_.height;
    if (Error error = load(root, children); error.failed()) return error;
    entries = children.size();
  }
  state_.root = root.row;
  return {};
}

Error ColumnTree::replace_in(unsigned level, const ColumnEntry& node, std::uint64_t begin,
                             std::uint64_t end, std::span<const ColumnEntry> fresh,
                             std::vector<Written>& out) {
  Children entries;
  if (Error error = load(node, entries); error.failed()) return error;
  Error error = level == 1 ? replace_chunks(entries, begin, end, fresh)
                           : replace_nodes(level, entries, begin, end, fresh);
  if (error.failed()) return error;
  if (entries.empty()) {
    rows_.forget();
    return writer_.erase(node.row);
  }
  return write_nodes(entries, node.row, out);
}

Error ColumnTree::replace_chunks(Children& entries, std::uint64_t begin, std::uint64_t end,
                                 std::span<const ColumnEntry> fresh) {
  std::uint64_t at = 0;
  std::size_t first = 0;
  while (first < entries.size() && at < begin) at += entries[first++].count;
  if (at != begin) return rows_.broken("its tree has no chunk that begins where one was found");
  std::size_t last = first;
  while (last < entries.size() && at < end) {
    if (Error error = (*erased_)(entries[last].row); error.failed()) return error;
    at += entries[last++].count;
  }
  const auto place = entries.erase(entries.begin() + static_cast<std::ptrdiff_t>(first),
                                   entries.begin() + static_cast<std::ptrdiff_t>(last));
  entries.insert(place, fresh.begin(), fresh.end());
  return {};
}

Error ColumnTree::replace_nodes(unsigned level, Children& entries, std::uint64_t begin,
                                std::uint64_t end, std::span<const ColumnEntry> fresh) {
  // What is inserted between two nodes goes to the end of the first of them.
  std::uint64_t at = 0;
  std::size_t first = 0;
  const auto is_before = [&](const ColumnEntry& entry) {
    return begin == end ? at + entry.count < begin : at + entry.count <= begin;
  };
  while (first + 1 < entries.size() && is_before(entries[first])) at += entries[first++].count;
  std::vector<Written> written;
  std::size_t last = first;
  do {
    const ColumnEntry child = entries[last];
    const std::uint64_t local_begin = begin > at ? begin - at : 0;
    const std::uint64_t local_end = std::min(end - at, child.count);
    Error error = replace_in(level - 1, child, local_begin, std::max(local_begin, local_end),
                             last == first ? fresh : std::span<const ColumnEntry>(), written);
    if (error.failed()) return error;
    at += child.count;
    ++last;
  } while (last < entries.size() && at < end);
  const auto place = entries.erase(entries.begin() + static_cast<std::ptrdiff_t>(first),
                                   entries.begin() + static_cast<std::ptrdiff_t>(last));
  std::vector<ColumnEntry> in_place;
  for (const Written& node : written) in_place.push_back(node.entry);
  entries.insert(place, in_place.begin(), in_place.end());
  return join_small(entries, first, written);
}

Error ColumnTree::join_small(Children& entries, std::size_t first, std::vector<Written>& written) {
  for (std::size_t i = 0; i < written.size() && entries.size() > 1; ++i) {
    if (written[i].entries >= most_ / 4) continue;
    const std::size_t mine = first + i;
    const std::size_t left = mine + 1 < entries.size() ? mine : mine - 1;
    Children both;
    Children right;
    if (Error error = load(entries[left], both); error.failed()) return error;
    if (Error error = load(entries[left + 1], right); error.failed()) return error;
    if (both.size() + right.size() > most_ * 3 / 4) continue;
    both.insert(both.end(), right.begin(), right.end());
    std::vector<Written> joined;
    rows_.forget();
    if (Error error = writer_.erase(entries[left + 1].row); error.failed()) return error;
    if (Error error = write_nodes(both, entries[left].row, joined); error.failed()) return error;
    entries[left] = joined.front().entry;
    entries.erase(entries.begin() + static_cast<std::ptrdiff_t>(left) + 1);
    return {};  // one at a time is enough to keep the tree from growing thin
  }
  return {};
}

Error ColumnTree::write_nodes(const Children& entries, std::uint64_t reuse,
                              std::vector<Written>& out) {
  const std::size_t nodes = (entries.size() + most_ - 1) / most_;
  Bytes content;
  std::size_t begin = 0;
  for (std::size_t i = 0; i < nodes; ++i) {
    const std::size_t end = entries.size() * (i + 1) / nodes;
    content.resize_for_overwrite((end - begin) * ColumnEntry::size);
    std::byte* at = content.data();
    Written node;
    node.entries = end - begin;
    node.entry.row = i == 0 && reuse != 0 ? reuse : state_.next_id++;
    for (; begin < end; ++begin) {
      put_little_endian(at, entries[begin].row, 8);
      put_little_endian(at + 8, entries[begin].count, 8);
      at += ColumnEntry::size;
      node.entry.count += entries[begin].count;
    }
    rows_.forget();
    if (Error error = writer_.write(state_.tag, node.entry.row, content); error.failed())
      return error;
    out.push_back(node);
  }
  return {};
}

}  // namespace snkv::core
