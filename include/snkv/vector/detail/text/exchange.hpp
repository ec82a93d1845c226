/// \file
/// Entries as text, written and read.
#pragma once

#include <snkv/vector/detail/collection/entry_scan.hpp>
#include <snkv/vector/detail/collection/row_access.hpp>
#include <snkv/vector/detail/text/text_import.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <istream>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace snkv {

namespace vector_detail {

/// The names that vctrs knows; `parse_metric` understands them.
[[nodiscard]] constexpr std::string_view exchange_name(Metric metric) noexcept {
  if (metric == Metric::l1) return "manhattan";
  if (metric == Metric::l2) return "euclidean";
  return metric == Metric::cosine ? "cosine" : "dot_product";
}

/// Builds the text piece by piece and gives it to the stream.
class TextWriter {
 public:
  TextWriter(std::ostream& out, TextLayout layout, bool pretty)
      : out_(out), layout_(layout), pretty_(pretty && layout == TextLayout::document) {}

  /// `members` are JSON texts by their names.
  void header(const std::vector<std::pair<std::string_view, std::string>>& members) {
    text_ += '{';
    for (const auto& [name, value] : members) {
      if (text_.back() != '{') text_ += ',';
      member(1, name);
      text_ += value;
    }
    if (layout_ == TextLayout::lines) {
      text_ += "}\n";
    } else {
      text_ += ',';
      member(1, "vectors");
      text_ += '[';
    }
  }

  void record(const TextRecord& record, std::string_view metadata) {
    if (layout_ == TextLayout::document && records_++ > 0) text_ += ',';
    if (layout_ == TextLayout::document) line(2);
    text_ += '{';
    bytes_member("id", record.key);
    text_ += ',';
    member(3, "vector");
    text_ += '[';
    for (std::size_t i = 0; i < record.vector.size(); ++i) {
      if (i > 0) text_ += ',';
      append_float(text_, record.vector[i]);
    }
    text_ += ']';
    if (!metadata.empty()) {
      text_ += ',';
      member(3, "metadata");
      text_ += metadata;
    }
    if (record.value) {
      text_ += ',';
      bytes_member("value", *record.value);
    }
    if (record.expires_at) {
      text_ += ',';
      member(3, "expires_at");
      text_ += std::to_string(*record.expires_at);
    }
    if (pretty_) line(2);
    text_ += '}';
    if (layout_ == TextLayout::lines) text_ += '\n';
  }

  void end() {
    if (layout_ == TextLayout::lines) return;
    line(1);
    text_ += ']';
    if (pretty_) line(0);
    text_ += "}\n";
  }

  /// Whether the stream took it.
  [[nodiscard]] bool flush() {
    out_.write(text_.data(), static_cast<std::streamsize>(text_.size()));
    text_.clear();
    return out_.good();
  }

 private:
  void line(std::size_t level) {
    text_ += '\n';
    if (pretty_) text_.append(2 * level, ' ');
  }
  void member(std::size_t level, std::string_view name) {
    if (pretty_) line(level);
    text_.append("\"").append(name).append(pretty_ ? "\": " : "\":");
  }
  /// Bytes as a string where they are text, else in base64 under another name.
  void bytes_member(std::string_view name, const std::string& bytes) {
    if (is_utf8(bytes)) {
      member(3, name);
      text_ += Json(bytes).dump();
      return;
    }
    member(3, std::string(name) + "_base64");
    text_ += '"';
    append_base64(text_, bytes);
    text_ += '"';
  }

  std::ostream& out_;
  const TextLayout layout_;
  const bool pretty_;
  std::uint64_t records_ = 0;
  std::string text_;
};

/// What stands before the entries.
[[nodiscard]] inline std::vector<std::pair<std::string_view, std::string>> header_of(
    const Collection& collection, bool values, std::optional<std::uint64_t> count) {
  const auto text = [](std::string_view word) { return Json(std::string(word)).dump(); };
  const CollectionConfig config = collection.config();
  std::vector<std::pair<std::string_view, std::string>> members{
      {"version", std::to_string(text_version)},
      {"dim", std::to_string(config.dim)},
      {"metric", text(exchange_name(config.metric))},
      {"dtype", text(to_string(config.type))},
      {"m", std::to_string(config.m)},
      {"ef_construction", std::to_string(config.ef_construction)},
      {"ef_search", std::to_string(config.ef_search)},
      {"values", values ? "true" : "false"}};
  if (count) members.emplace_back("count", std::to_string(*count));
  return members;
}

/// `count`: of the entries there are, where all of them are written.
[[nodiscard]] inline Error export_text(const char* operation, const Collection& collection,
                                       const CollectionTables& tables,
                                       std::ostream& out,
                                       const vector_core::TextExport& options,
                                       std::optional<std::uint64_t> count, std::uint64_t& written) {
  const auto stream_failed = [&] { return Error(Errc::io_error, operation, "the stream failed"); };
  const QuietStream quiet(out);
  CallerProgress progress(*options.progress, &collection.image());
  TextWriter writer(out, options.layout, options.pretty);
  writer.header(header_of(collection, options.values, count));
  const EntryCondition condition = condition_of(collection, {options.filter, nullptr});
  EntryScan scan(operation, collection, tables, condition);
  TextRecord record;
  record.vector.resize(collection.config().dim);
  Error error = scan.run({}, [&](std::string_view key, const auto& item, bool&) -> Error {
    if (written % 256 == 0 && !progress(written, count.value_or(0))) {
      return progress.error(operation);
    }
    record.key = key;
    record.expires_at.reset();
    if (item.expires_at != 0) record.expires_at = item.expires_at;
    std::optional<Bytes> value;
    Error failed = read_vector_of(operation, key, tables, item, record.vector);
    if (!failed.failed() && parse_metadata(item.metadata).is_discarded()) {
      failed = damaged(operation, "its metadata are no JSON object");
    }
    if (!failed.failed() && options.values) {
      failed = read_value(operation, tables, key, value);
    }
    if (failed.failed()) return failed;
    record.value.reset();
    if (value) record.value = value->str();
    writer.record(record, item.metadata);
    ++written;
    return writer.flush() ? Error() : stream_failed();
  });
  if (error.failed()) return error;
  writer.end();
  if (!writer.flush() || !out.flush()) return stream_failed();
  return progress(written, written) ? Error() : progress.error(operation);
}

}  // namespace vector_detail

namespace vector_core {

using namespace vector_detail;  // NOLINT(google-build-using-namespace): the code behind these functions

SNKV_VECTOR_CODE Error export_text(const char* operation, const Target& at, std::ostream& out,
                                   const TextExport& options, std::uint64_t& written) {
  if (at.collection == nullptr) return closed(operation);
  if (at.scope == nullptr && options.filter != nullptr) {
    if (Error error = at.collection->catch_up(operation); error.failed()) return error;
  }
  return with_rows(operation, *at.collection, at.scope, [&](const CollectionTables& tables) -> Error {
    std::optional<std::uint64_t> count;
    if (options.filter == nullptr) {
      std::uint64_t entries = 0;
      Error error = size({at.collection, tables.meta.scope}, entries);
      if (error.failed()) return as_error_of(operation, std::move(error));
      count = entries;
    }
    return vector_detail::export_text(operation, *at.collection, tables, out, options, count, written);
  });
}

SNKV_VECTOR_CODE Error import_text(const char* operation, const Target& at, std::istream& in,
                                   TextLayout layout, const VectorImport& options, std::uint64_t& count) {
  if (at.collection == nullptr) return closed(operation);
  std::uint64_t read = 0;
  SkippedEntries skipped;
  const QuietStream quiet(in);
  CallerProgress progress(options.progress, &at.collection->image());
  const auto work = [&](RowWriter& writer, const CollectionTables& tables) {
    TextImporter importer(operation, *at.collection, tables, writer, options, progress);
    Error failed = read_text(operation, in, layout, at.collection->config().dim, importer);
    read = importer.count();
    skipped = std::move(importer.skipped());
    return failed;
  };
  Error error = at.collection->write(operation, at.scope, {options.sync}, work,
                                   linking_progress(progress, read));
  if (error.failed()) return error;
  if (options.skipped != nullptr) *options.skipped = std::move(skipped);
  count = read;
  return {};
}

SNKV_VECTOR_CODE Error complete_options(const char* operation, std::istream& in, TextLayout layout,
                                        Refused refused, VectorStoreOptions& options) {
  const QuietStream quiet(in);
  const std::istream::pos_type begin = in.tellg();
  HeaderSink sink(refused);
  Error error = read_text(operation, in, layout, 0, sink);
  if (!sink.members()) {
    if (error.failed()) return error;
    return Error(Errc::invalid_argument, operation, "the text is empty");
  }
  in.clear();
  if (begin == std::istream::pos_type(-1) || !in.seekg(begin)) {
    return Error(Errc::invalid_argument, operation, "the stream cannot go back to its beginning");
  }

  const auto number = [&](const char* name, auto& option) {
    const auto at = sink.members()->find(name);
    if (at == sink.members()->end() || !at->is_number_unsigned()) return;
    const auto value = at->template get<std::uint64_t>();
    // What does not fit is refused as any other number that is too large.
    if (!option) option = static_cast<std::uint32_t>(std::min<std::uint64_t>(value, UINT32_MAX));
  };
  const auto word = [&](const char* name, auto& option, auto&& parse) -> Error {
    const auto at = sink.members()->find(name);
    if (at == sink.members()->end() || option) return {};
    if (at->is_string()) option = parse(at->template get_ref<const std::string&>());
    if (option) return {};
    return Error(Errc::invalid_argument, operation,
                 std::string("unknown ") + name + " " + at->dump());
  };
  std::optional<std::uint32_t> dim;
  if (options.dim != 0) dim = static_cast<std::uint32_t>(options.dim);
  number("dim", dim);
  options.dim = dim.value_or(0);
  number("m", options.m);
  number("ef_construction", options.ef_construction);
  number("ef_search", options.ef_search);
  error = word("metric", options.metric, parse_metric);
  return error.failed() ? error : word("dtype", options.dtype, parse_element_type);
}

}  // namespace vector_core
}  // namespace snkv
