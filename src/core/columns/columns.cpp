/// \file
/// The functions of core_abi.hpp that read and write columns.
#include "core/columns/column_access.hpp"

#include <snkv/detail/core_abi.hpp>

#include <memory>
#include <utility>

namespace snkv::core {
namespace {

/// Runs `work(ColumnWriter&)`, in the target's transaction or in one of its own.
template <class Work>
Error write_column(const char* operation, const ColumnTarget& column, const WriteOptions& options,
                   Work&& work) {
  return guarded(operation, column.target, [&]() -> Error {
    if (column.target.family == nullptr)
      return Error(Errc::closed, operation, "the handle is empty");
    const auto run = [&](WriteSession& session) -> Error {
      Error error = flush_column_tails(operation, session, column.target.family->id);
      if (error.failed()) return error;
      const WriteContext context{operation, session, *column.target.family};
      ColumnWriter writer(context, column.name);
      error = writer.load();
      return error.failed() ? error : work(writer);
    };
    return about_column(operation, column.name,
                        write_in_scope(operation, column.target, run, options.sync));
  });
}

Error read_fixed(const ColumnState& state, ColumnReader& reader, const ColumnRun& run,
                 std::byte* out) {
  const std::uint64_t size = state.element_size;
  const auto copy = [&](std::uint64_t position, std::uint64_t amount, std::byte* to) -> Error {
    while (amount > 0) {
      if (Error error = reader.seek(position); error.failed()) return error;
      const std::uint64_t skip = position - reader.begin();
      const std::size_t piece = std::min(amount, reader.count() - skip);
      std::memcpy(to, reader.chunk().data() + skip, piece);
      position += piece;
      to += piece;
      amount -= piece;
    }
    return {};
  };
  if (run.step == 1 && !run.backwards) return copy(run.first * size, run.count * size, out);
  for (std::uint64_t i = 0; i < run.count; ++i) {
    const std::uint64_t at = run.backwards ? run.first - i * run.step : run.first + i * run.step;
    if (Error error = copy(at * size, size, out + i * size); error.failed()) return error;
  }
  return {};
}

}  // namespace

Error column_size(const ColumnTarget& column, std::uint64_t& out) {
  constexpr const char* operation = "column size";
  return guarded(operation, column.target, [&]() -> Error {
    return with_column(operation, column, [&](const ReadView&, const ColumnState& state) -> Error {
      out = state.length;
      return {};
    });
  });
}

Error column_stats(const ColumnTarget& column, ColumnStats& out) {
  constexpr const char* operation = "column stats";
  return guarded(operation, column.target, [&]() -> Error {
    return with_column(operation, column, [&](const ReadView&, const ColumnState& state) -> Error {
      out = {state.length, state.bytes, state.chunks, state.capacity, state.height};
      return {};
    });
  });
}

Error column_read(const char* operation, const ColumnTarget& column, const ColumnSlice& slice,
                  const ColumnSink& sink, std::uint64_t& got) {
  return guarded(operation, column.target, [&]() -> Error {
    return with_column(
        operation, column, [&](const ReadView& view, const ColumnState& state) -> Error {
          ColumnRun run;
          Error error = resolve_slice(operation, column.name, slice, state.length, run);
          if (error.failed()) return error;
          ColumnRows rows = rows_of(operation, column.name, view, state);
          ColumnReader reader(rows, state);
          std::byte* const out = sink.reserve(sink.context, run.count);
          if (state.kind == ColumnKind::fixed) {
            error = read_fixed(state, reader, run, out);
          } else {
            ColumnRows others = rows_of(operation, column.name, view, state);
            Bytes large;
            const UserCode user_code(*column.target.store, UserCode::Kind::reads);
            for (std::uint64_t i = 0; i < run.count && !error.failed(); ++i) {
              const std::uint64_t at =
                  run.backwards ? run.first - i * run.step : run.first + i * run.step;
              BytesView element;
              error = reader.seek(at);
              if (!error.failed()) error = reader.item(at, others, large, element);
              if (!error.failed()) sink.item(sink.context, element);
            }
          }
          if (!error.failed()) got = run.count;
          return error;
        });
  });
}

Error column_splice(const char* operation, const ColumnTarget& column, ColumnIndex first,
                    ColumnIndex last, const ColumnData& data, const WriteOptions& options) {
  return write_column(operation, column, options, [&](ColumnWriter& writer) -> Error {
    const std::uint64_t length = writer.state().length;
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
    if (!resolve_index(first, length, begin))
      return out_of_range(operation, column.name, first, length);
    if (!resolve_index(last, length, end))
      return out_of_range(operation, column.name, last, length);
    if (begin > end) {
      return Error(Errc::invalid_argument, operation,
                   fmt::format("column {}: {} is behind {}", base::printable(column.name),
                               describe(first), describe(last)));
    }
    return writer.splice(begin, end - begin, data);
  });
}

Error column_replace(const char* operation, const ColumnTarget& column, ColumnIndex first,
                     const ColumnData& data, const WriteOptions& options) {
  return write_column(operation, column, options, [&](ColumnWriter& writer) -> Error {
    const std::uint64_t length = writer.state().length;
    std::uint64_t begin = 0;
    if (!resolve_index(first, length, begin))
      return out_of_range(operation, column.name, first, length);
    if (data.count == 1 && begin == length)
      return out_of_range(operation, column.name, first, length);
    return writer.splice(begin, data.count, data);
  });
}

Error column_resize(const ColumnTarget& column, std::uint64_t length, BytesView fill,
                    const WriteOptions& options) {
  constexpr const char* operation = "column resize";
  return write_column(operation, column, options, [&](ColumnWriter& writer) -> Error {
    const ColumnState& state = writer.state();
    if (length <= state.length) return writer.splice(length, state.length - length, {});
    const std::uint64_t most = max_column_extent / std::max<std::uint64_t>(1, state.unit());
    if (length > most) {
      return Error(Errc::too_large, operation,
                   fmt::format("column {}: {} elements; at most {} are possible",
                               base::printable(column.name), length, most));
    }
    // In pieces, because all of it may be more than there is memory.
    const std::uint64_t at_once =
        std::max<std::uint64_t>(1, (1u << 20) / std::max<std::uint64_t>(16, fill.size()));
    const std::uint64_t most_missing = std::min(at_once, length - state.length);
    Bytes bytes;
    std::vector<BytesView> items;
    if (state.kind == ColumnKind::fixed) {
      bytes.resize_for_overwrite(most_missing * fill.size());
      for (std::uint64_t i = 0; i < most_missing && !fill.empty(); ++i) {
        std::memcpy(bytes.data() + i * fill.size(), fill.data(), fill.size());
      }
    } else {
      items.assign(most_missing, fill);
    }
    return change(writer.session(), [&]() -> Error {
      while (state.length < length) {
        const std::uint64_t amount = std::min(at_once, length - state.length);
        const ColumnData data{
            BytesView(bytes.data(), state.kind == ColumnKind::fixed ? amount * fill.size() : 0),
            items.empty() ? nullptr : items.data(), amount};
        if (Error error = writer.append(data); error.failed()) return error;
      }
      return {};
    });
  });
}

namespace {

constexpr std::size_t tail_bytes = 64 * 1024;

/// The tail of a column in a transaction; made, if the column can be written.
Error find_tail(const char* operation, const ColumnTarget& column, WriteSession& session,
                std::shared_ptr<ColumnTailState>& out) {
  for (const auto& tail : session.column_tails()) {
    if (tail->family->id == column.target.family->id) {
      out = tail;
      return {};
    }
  }
  const WriteContext context{operation, session, *column.target.family};
  ColumnWriter writer(context, column.name);
  if (Error error = writer.load(); error.failed()) return error;
  auto tail = std::make_shared<ColumnTailState>();
  tail->family = column.target.family;
  tail->column = column.name;
  tail->kind = writer.state().kind;
  tail->element_size = writer.state().element_size;
  tail->buffer.resize_for_overwrite(tail_bytes);
  tail->reset();
  session.column_tails().push_back(tail);
  out = std::move(tail);
  return {};
}

Error append_to_tail(const char* operation, WriteSession& session, ColumnTailState& tail,
                     BytesView element, bool& done) {
  const std::size_t head = tail.kind == ColumnKind::fixed ? 0 : 4;
  const std::size_t need = head + element.size();
  done = need <= tail.buffer.size() && (head != 0 || element.size() == tail.element_size);
  if (!done) return {};
  if (static_cast<std::size_t>(tail.end - tail.next) < need) {
    Error error = flush_column_tails(operation, session, tail.family->id);
    if (error.failed()) return error;
  }
  if (head != 0) put_little_endian(tail.next, element.size(), 4);
  if (!element.empty()) std::memcpy(tail.next + head, element.data(), element.size());
  tail.next += need;
  return {};
}

}  // namespace

Error column_append(const ColumnTarget& column, BytesView element, const WriteOptions& options,
                    std::shared_ptr<ColumnTail>& tail) {
  constexpr const char* operation = "column append";
  const auto append = [&]() -> Error {
    return write_column(operation, column, options, [&](ColumnWriter& writer) -> Error {
      ColumnData data{element, nullptr, 1};
      if (writer.state().kind == ColumnKind::variable) data = {{}, &element, 1};
      return writer.append(data);
    });
  };
  const Target& target = column.target;
  if (target.scope == nullptr || target.family == nullptr) return append();
  bool done = false;
  Error error = guarded(operation, target, [&]() -> Error {
    const auto run = [&](WriteSession& session) -> Error {
      std::shared_ptr<ColumnTailState> found;
      if (Error failed = find_tail(operation, column, session, found); failed.failed())
        return failed;
      if (Error failed = append_to_tail(operation, session, *found, element, done); failed.failed())
        return failed;
      tail = std::move(found);
      return {};
    };
    return about_column(operation, column.name, write_in_scope(operation, target, run));
  });
  return error.failed() || done ? error : append();
}

}  // namespace snkv::core
