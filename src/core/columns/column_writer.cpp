#include "core/columns/column_writer.hpp"

#include "base/printable.hpp"
#include "core/run.hpp"

#include <fmt/format.h>
#include <algorithm>

namespace snkv::core {
namespace {

/// An element that takes more than this part of a chunk gets rows of its own: else chunks could not
/// be filled.
constexpr std::uint32_t most_of_chunk = 4;
/// So many chunks at the end of a column are rather written anew than put under a tree.
constexpr std::uint64_t tail_chunks = 4;

}  // namespace

Error ColumnWriter::load() {
  WriteSession& session = context_.session;
  lock_.emplace(session.connection());
  Error error = session.resolve(context_.operation, context_.family, true, tables_);
  if (error.failed()) return error;
  const ReadView view{session.bt(), tables_, session.now(), &session.store(), session.keys()};
  btree::Cursor cursor;
  const int rc = cursor.open(view.bt, tables_->root, SNKV_BT_ROWS, false);
  if (rc != SNKV_BT_OK)
    return btree::engine_error(context_.operation, rc, base::printable(column_));
  error = read_column_state(context_.operation, column_, view, cursor.get(), state_);
  if (error.failed()) return error;
  rows_.emplace(context_.operation, column_, session.bt(), *tables_, session.keys(), state_.tag);
  others_.emplace(context_.operation, column_, session.bt(), *tables_, session.keys(), state_.tag);
  writer_.emplace(context_, column_, *tables_);
  reader_.emplace(*rows_, state_);
  return tables_->large_root == 0 ? rows_->broken("it has no rows") : Error();
}

Error ColumnWriter::save() {
  const Bytes description = state_.encode();
  return put_entry(context_, {BytesView(column_state_key), description, {}});
}

Error ColumnWriter::check(std::uint64_t first, std::uint64_t erased, const ColumnData& data) const {
  const auto refuse = [&](Errc code, std::string why) {
    return Error(code, context_.operation,
                 fmt::format("column {}: {}", base::printable(column_), why));
  };
  if (first > state_.length || erased > state_.length - first) {
    return refuse(
        Errc::invalid_argument,
        erased == 0
            ? fmt::format("position {} is out of range, it has {} elements", first, state_.length)
            : fmt::format("elements {} to {} are out of range, it has {}", first,
                          erased > max_column_extent ? first : first + erased - 1, state_.length));
  }
  if (state_.kind == ColumnKind::fixed) {
    if (data.items != nullptr || data.bytes.size() != data.count * state_.element_size) {
      return refuse(Errc::invalid_argument,
                    fmt::format("{} elements do not have {} bytes", data.count, data.bytes.size()));
    }
    if (data.count > max_column_extent / state_.element_size - state_.length) {
      return refuse(Errc::too_large, "more elements than a column can have");
    }
    return {};
  }
  if (data.items == nullptr && data.count != 0) {
    return refuse(Errc::invalid_argument, "its elements differ in size");
  }
  for (std::uint64_t i = 0; i < data.count; ++i) {
    if (data.items[i].size() > max_value_size) {
      return refuse(Errc::too_large, fmt::format("element {} has {} bytes; at most {} are allowed",
                                                 first + i, data.items[i].size(), max_value_size));
    }
  }
  return {};
}

Error ColumnWriter::splice(std::uint64_t first, std::uint64_t erased, const ColumnData& data) {
  if (Error error = check(first, erased, data); error.failed()) return error;
  if (erased == 0 && data.count == 0) return {};
  if (erased == state_.length && data.count == 0) return clear();
  return change(context_.session, [&]() -> Error {
    const std::uint64_t unit = state_.unit();
    Error error = state_.kind == ColumnKind::fixed
                      ? splice_fixed(first * unit, (first + erased) * unit, data.bytes)
                      : splice_variable(first, first + erased, data);
    return error.failed() ? error : save();
  });
}

Error ColumnWriter::clear() {
  return change(context_.session, [&]() -> Error {
    rows_->close();
    others_->close();
    reader_->reset();
    if (Error error = writer_->clear(); error.failed()) return error;
    state_.height = 0;
    state_.root = state_.chunks = state_.length = state_.bytes = 0;
    state_.next_id = 1;
    // Rows get their numbers again: what was sealed before must not fit.
    if (context_.session.keys() != nullptr) randombytes_buf(state_.tag.data(), state_.tag.size());
    return save();
  });
}

Error ColumnWriter::write_chunk(std::uint64_t row, BytesView content) {
  rows_->forget();
  return writer_->write(state_.tag, row, content);
}

// ---- Elements of a fixed size ----

Error ColumnWriter::splice_fixed(std::uint64_t begin, std::uint64_t end, BytesView bytes) {
  Error error;
  if (end - begin == bytes.size()) {
    error = overwrite_fixed(begin, bytes);
  } else if (state_.height == 0) {
    const std::uint64_t behind = state_.extent() - end;
    if (begin == state_.extent()) {
      error = append_fixed(bytes);
    } else if (behind <= tail_chunks * state_.capacity) {
      error = rewrite_tail(begin, end, bytes);
    } else {
      error = build_tree();
      if (!error.failed()) error = splice_in_tree(begin, end, bytes);
    }
  } else {
    error = splice_in_tree(begin, end, bytes);
  }
  if (error.failed()) return error;
  if (state_.height > 0) state_.bytes = state_.bytes - (end - begin) + bytes.size();
  state_.length = state_.bytes / state_.element_size;
  return {};
}

/// Behind the last chunk of a column that needs no tree.
Error ColumnWriter::append_fixed(BytesView bytes) {
  const std::uint64_t capacity = state_.capacity;
  std::uint64_t done = 0;
  if (const std::uint64_t there = state_.bytes % capacity; there != 0 && !bytes.empty()) {
    if (Error error = reader_->seek(state_.bytes - 1); error.failed()) return error;
    done = std::min<std::uint64_t>(capacity - there, bytes.size());
    Bytes chunk;
    chunk.resize_for_overwrite(there + done);
    std::memcpy(chunk.data(), reader_->chunk().data(), there);
    std::memcpy(chunk.data() + there, bytes.data(), done);
    if (Error error = write_chunk(reader_->row(), chunk); error.failed()) return error;
  }
  while (done < bytes.size()) {
    const std::size_t amount = std::min<std::size_t>(capacity, bytes.size() - done);
    Error error = write_chunk(new_row(), BytesView(bytes.data() + done, amount));
    if (error.failed()) return error;
    ++state_.chunks;
    done += amount;
  }
  state_.bytes += bytes.size();
  reader_->reset();
  return {};
}

Error ColumnWriter::overwrite_fixed(std::uint64_t begin, BytesView bytes) {
  Bytes chunk;
  for (std::uint64_t done = 0; done < bytes.size();) {
    if (Error error = reader_->seek(begin + done); error.failed()) return error;
    const std::uint64_t at = begin + done - reader_->begin();
    const std::size_t amount = std::min<std::uint64_t>(reader_->count() - at, bytes.size() - done);
    if (amount == reader_->count()) {
      const BytesView whole(bytes.data() + done, amount);
      if (Error error = write_chunk(reader_->row(), whole); error.failed()) return error;
    } else {
      chunk = Bytes(reader_->chunk());
      std::memcpy(chunk.data() + at, bytes.data() + done, amount);
      if (Error error = write_chunk(reader_->row(), chunk); error.failed()) return error;
    }
    done += amount;
  }
  return {};
}

Error ColumnWriter::rewrite_tail(std::uint64_t begin, std::uint64_t end, BytesView bytes) {
  Bytes tail;
  tail.resize_for_overwrite(state_.bytes - end);
  for (std::uint64_t at = end; at < state_.bytes;) {
    if (Error error = reader_->seek(at); error.failed()) return error;
    const std::uint64_t skip = at - reader_->begin();
    const std::size_t amount = reader_->count() - skip;
    std::memcpy(tail.data() + (at - end), reader_->chunk().data() + skip, amount);
    at += amount;
  }
  const std::uint64_t full = begin / state_.capacity;  // chunks that stay as they are
  const std::uint64_t kept = begin % state_.capacity;
  if (kept != 0) {
    if (Error error = reader_->seek(begin - 1); error.failed()) return error;
    const Bytes head(BytesView(reader_->chunk().data(), kept));
    if (Error error = write_chunk(full + 1, head); error.failed()) return error;
  }
  const std::uint64_t left = full + (kept != 0 ? 1 : 0);
  rows_->forget();
  if (Error error = writer_->erase_from(left + 1); error.failed()) return error;
  state_.next_id = left + 1;
  state_.chunks = left;
  state_.bytes = begin;
  reader_->reset();
  if (Error error = append_fixed(bytes); error.failed()) return error;
  return append_fixed(tail);
}

Error ColumnWriter::build_tree() {
  std::vector<ColumnEntry> entries;
  entries.reserve(state_.chunks);
  for (std::uint64_t at = 0; at < state_.bytes; at += state_.capacity) {
    entries.push_back(
        {at / state_.capacity + 1, std::min<std::uint64_t>(state_.capacity, state_.bytes - at)});
  }
  ColumnTree tree(*rows_, *writer_, state_);
  const Error error =
      tree.replace(state_.bytes, 0, 0, entries, [](std::uint64_t) { return Error(); });
  reader_->reset();
  return error;
}

Error ColumnWriter::find_span(std::uint64_t begin, std::uint64_t end, Span& out) {
  const std::uint64_t extent = state_.extent();
  if (extent == 0) return {};
  if (Error error = reader_->seek(begin == extent ? begin - 1 : begin); error.failed())
    return error;
  out = {reader_->begin(), reader_->end(), 1, reader_->row()};
  if (end > out.end) {
    if (Error error = reader_->seek(end - 1); error.failed()) return error;
    out.end = reader_->end();
    out.chunks = 2;
  }
  return {};
}

/// Writes what is in the tree for the chunks of a span.
Error ColumnWriter::put_in_tree(const Span& old, const std::vector<ColumnEntry>& fresh) {
  const std::uint64_t extent = state_.extent();
  std::uint64_t gone = 0;
  if (old.chunks != 1 || fresh.size() != 1 || fresh.front().count != old.end - old.begin) {
    ColumnTree tree(*rows_, *writer_, state_);
    Error error = tree.replace(extent, old.begin, old.end, fresh, [&](std::uint64_t row) -> Error {
      ++gone;
      if (!fresh.empty() && row == fresh.front().row) return {};  // written over already
      rows_->forget();
      return writer_->erase(row);
    });
    if (error.failed()) return error;
    state_.chunks = state_.chunks - gone + fresh.size();
  }
  reader_->reset();
  return {};
}

/// Writes the chunks around a place anew. What comes of them are chunks of nearly one size; one
/// that is small takes its neighbour in.
Error ColumnWriter::splice_in_tree(std::uint64_t begin, std::uint64_t end, BytesView bytes) {
  Span span;
  Bytes before;
  Bytes behind;
  if (Error error = find_span(begin, end, span); error.failed()) return error;
  if (span.chunks != 0) {
    if (Error error = reader_->seek(span.begin); error.failed()) return error;
    before = Bytes(BytesView(reader_->chunk().data(), begin - span.begin));
    if (end < span.end) {
      if (Error error = reader_->seek(end); error.failed()) return error;
      const std::size_t skip = end - reader_->begin();
      behind = Bytes(BytesView(reader_->chunk().data() + skip, reader_->count() - skip));
    }
  }
  const std::uint64_t capacity = state_.capacity;
  std::uint64_t total = before.size() + bytes.size() + behind.size();
  const bool appending = begin == state_.extent();
  if (total < capacity / 3 && !appending) {
    if (span.end < state_.extent()) {
      if (Error error = reader_->seek(span.end); error.failed()) return error;
      const std::size_t had = behind.size();
      behind.resize_for_overwrite(had + reader_->count());
      std::memcpy(behind.data() + had, reader_->chunk().data(), reader_->count());
      span.end = reader_->end();
      span.chunks = 2;
    } else if (span.begin > 0) {
      if (Error error = reader_->seek(span.begin - 1); error.failed()) return error;
      Bytes joined(reader_->chunk());
      joined.resize_for_overwrite(reader_->count() + before.size());
      if (!before.empty())
        std::memcpy(joined.data() + reader_->count(), before.data(), before.size());
      before = std::move(joined);
      span.begin = reader_->begin();
      span.row = reader_->row();
      span.chunks = 2;
    }
    total = before.size() + bytes.size() + behind.size();
  }
  std::vector<ColumnEntry> fresh;
  const std::uint64_t granules = total / state_.granule;
  const std::uint64_t per_chunk = capacity / state_.granule;
  const std::uint64_t pieces = (granules + per_chunk - 1) / per_chunk;
  Bytes chunk;
  std::uint64_t at = 0;
  const auto copy = [&](BytesView part, std::uint64_t part_begin, std::uint64_t piece_end) {
    const std::uint64_t from = std::max(at, part_begin);
    const std::uint64_t to = std::min(piece_end, part_begin + part.size());
    if (from < to)
      std::memcpy(chunk.data() + (from - at), part.data() + (from - part_begin), to - from);
  };
  for (std::uint64_t i = 0; i < pieces; ++i) {
    // What is appended fills its chunks; elsewhere room is left for more.
    const std::uint64_t piece_end =
        appending ? std::min(total, at + capacity) : granules * (i + 1) / pieces * state_.granule;
    chunk.resize_for_overwrite(piece_end - at);
    copy(before, 0, piece_end);
    copy(bytes, before.size(), piece_end);
    copy(behind, before.size() + bytes.size(), piece_end);
    const std::uint64_t row = i == 0 && span.chunks != 0 ? span.row : new_row();
    if (Error error = write_chunk(row, chunk); error.failed()) return error;
    fresh.push_back({row, piece_end - at});
    at = piece_end;
  }
  return put_in_tree(span, fresh);
}

// ---- Elements that differ in size ----

Error ColumnWriter::store_item(BytesView content, std::byte (&reference)[ColumnReference::size],
                               ColumnItem& out) {
  if (content.size() <= state_.capacity / most_of_chunk) {
    out = {content, false};
    return {};
  }
  put_little_endian(reference, state_.next_id, 8);
  put_little_endian(reference + 8, content.size(), 8);
  for (std::size_t at = 0; at < content.size(); at += state_.capacity) {
    const std::size_t amount = std::min<std::size_t>(state_.capacity, content.size() - at);
    Error error = write_chunk(new_row(), BytesView(content.data() + at, amount));
    if (error.failed()) return error;
  }
  out = {BytesView(reference, ColumnReference::size), true};
  return {};
}

/// The elements of one chunk, which has to be the current one.
Error ColumnWriter::take_items(std::uint64_t from, std::uint64_t to, std::vector<ColumnItem>& out) {
  for (std::uint64_t i = from; i < to; ++i) {
    ColumnItem item;
    if (Error error = reader_->raw_item(i, item); error.failed()) return error;
    out.push_back(item);
  }
  return {};
}

/// Takes elements out of the count of bytes, and erases the rows that they have for themselves.
Error ColumnWriter::erase_references(std::uint64_t from, std::uint64_t to) {
  std::vector<ColumnReference> doomed;
  for (std::uint64_t i = from; i < to; ++i) {
    if (Error error = reader_->seek(i); error.failed()) return error;
    ColumnItem item;
    if (Error error = reader_->raw_item(i, item); error.failed()) return error;
    std::uint64_t size = item.content.size();
    if (item.reference) {
      doomed.push_back(decode_reference(item.content));
      size = doomed.back().bytes;
    }
    state_.bytes -= std::min(state_.bytes, size);
  }
  for (const ColumnReference& reference : doomed) {
    const std::uint64_t rows = (reference.bytes + state_.capacity - 1) / state_.capacity;
    for (std::uint64_t i = 0; i < rows; ++i) {
      rows_->forget();
      if (Error error = writer_->erase(reference.first_row + i); error.failed()) return error;
    }
  }
  return {};
}

Error ColumnWriter::splice_variable(std::uint64_t begin, std::uint64_t end,
                                    const ColumnData& data) {
  Span span;
  if (Error error = erase_references(begin, end); error.failed()) return error;
  if (Error error = find_span(begin, end, span); error.failed()) return error;
  Bytes first_chunk;
  Bytes last_chunk;
  std::vector<ColumnItem> before;
  std::vector<ColumnItem> behind;
  const bool appending = begin == state_.extent();
  if (span.chunks != 0) {
    // The items are views of copies: writing takes the pages away.
    const auto keep = [&](Bytes& copy, std::uint64_t at, std::uint64_t from, std::uint64_t to,
                          std::vector<ColumnItem>& items) -> Error {
      if (Error error = reader_->seek(at); error.failed()) return error;
      const std::size_t already = items.size();
      if (Error error = take_items(from, to, items); error.failed()) return error;
      copy = Bytes(reader_->chunk());
      for (std::size_t i = already; i < items.size(); ++i) {
        const std::ptrdiff_t offset = items[i].content.data() - reader_->chunk().data();
        items[i].content = {copy.data() + offset, items[i].content.size()};
      }
      return {};
    };
    if (Error error = keep(first_chunk, span.begin, span.begin, begin, before); error.failed())
      return error;
    if (end < span.end) {
      if (Error error = reader_->seek(end); error.failed()) return error;
      Error error = keep(last_chunk, end, end, span.end, behind);
      if (error.failed()) return error;
    }
  }

  std::uint64_t total = 0;
  const auto inline_cost = [&](BytesView content) -> std::uint64_t {
    return content.size() <= state_.capacity / most_of_chunk ? 2 + content.size()
                                                             : 4 + ColumnReference::size;
  };
  for (const auto* items : {&before, &behind}) {
    for (const ColumnItem& item : *items) total += ItemPacker::cost(item);
  }
  for (std::uint64_t i = 0; i < data.count; ++i) total += inline_cost(data.items[i]);
  Bytes neighbour_chunk;
  if (total < state_.capacity / 3 && !appending) {
    const bool next = span.end < state_.extent();
    if (next || span.begin > 0) {
      if (Error error = reader_->seek(next ? span.end : span.begin - 1); error.failed())
        return error;
      std::vector<ColumnItem> neighbours;
      Error error = take_items(reader_->begin(), reader_->end(), neighbours);
      if (error.failed()) return error;
      neighbour_chunk = Bytes(reader_->chunk());
      for (ColumnItem& item : neighbours) {
        const std::ptrdiff_t offset = item.content.data() - reader_->chunk().data();
        item.content = {neighbour_chunk.data() + offset, item.content.size()};
        total += ItemPacker::cost(item);
      }
      if (next) {
        behind.insert(behind.end(), neighbours.begin(), neighbours.end());
        span.end = reader_->end();
      } else {
        before.insert(before.begin(), neighbours.begin(), neighbours.end());
        span.begin = reader_->begin();
        span.row = reader_->row();
      }
      span.chunks = 2;
    }
  }

  // What is appended fills its chunks; elsewhere they get nearly one size.
  const std::uint64_t room = state_.capacity - ItemChunk::head_size;
  const std::uint64_t pieces = std::max<std::uint64_t>(1, (total + room - 1) / room);
  const std::uint64_t target = appending ? room : total / pieces + 1;
  ItemPacker packer(state_.capacity);
  std::vector<ColumnEntry> fresh;
  const auto emit = [&]() -> Error {
    const std::uint64_t row = fresh.empty() && span.chunks != 0 ? span.row : new_row();
    fresh.push_back({row, packer.count()});
    return write_chunk(row, packer.finish());
  };
  const auto add = [&](const ColumnItem& item) -> Error {
    if (!packer.empty() && (!packer.fits(item) || packer.size() >= target + ItemChunk::head_size)) {
      if (Error error = emit(); error.failed()) return error;
    }
    packer.add(item);
    return {};
  };
  for (const ColumnItem& item : before) {
    if (Error error = add(item); error.failed()) return error;
  }
  for (std::uint64_t i = 0; i < data.count; ++i) {
    std::byte reference[ColumnReference::size];
    ColumnItem item;
    if (Error error = store_item(data.items[i], reference, item); error.failed()) return error;
    if (Error error = add(item); error.failed()) return error;
    state_.bytes += data.items[i].size();
  }
  for (const ColumnItem& item : behind) {
    if (Error error = add(item); error.failed()) return error;
  }
  if (!packer.empty()) {
    if (Error error = emit(); error.failed()) return error;
  }
  if (Error error = put_in_tree(span, fresh); error.failed()) return error;
  state_.length = state_.length - (end - begin) + data.count;
  return {};
}

// ---- Tails ----

namespace {

Error flush_tail(const char* operation, WriteSession& session, ColumnTailState& tail) {
  const auto size = static_cast<std::size_t>(tail.next - tail.buffer.data());
  const BytesView pending(tail.buffer.data(), size);
  ColumnData data;
  std::vector<BytesView> items;
  if (tail.kind == ColumnKind::fixed) {
    data.bytes = pending;
    data.count = size / tail.element_size;
  } else {
    for (std::size_t at = 0; at < size;) {
      const auto length = static_cast<std::size_t>(little_endian(pending.data() + at, 4));
      items.emplace_back(pending.data() + at + 4, length);
      at += 4 + length;
    }
    data.items = items.data();
    data.count = items.size();
  }
  const WriteContext context{operation, session, *tail.family};
  // A failure leaves the transaction to be rolled back: what was appended successfully must not be
  // lost silently.
  Error error = change(session, [&]() -> Error {
    ColumnWriter writer(context, tail.column);
    Error failed = writer.load();
    return failed.failed() ? failed : writer.append(data);
  });
  if (!error.failed()) tail.reset();
  return error;
}

}  // namespace

Error flush_column_tails(const char* operation, WriteSession& session, std::uint32_t family_id) {
  for (const auto& tail : session.column_tails()) {
    if (!tail->pending() || (family_id != 0 && tail->family->id != family_id)) continue;
    if (Error error = flush_tail(operation, session, *tail); error.failed()) return error;
  }
  return {};
}

}  // namespace snkv::core
