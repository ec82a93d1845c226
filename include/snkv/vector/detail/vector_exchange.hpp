/// \file
/// Bodies of the members of store.hpp that write entries as text and read them.
#pragma once

#include <snkv/vector/detail/entry_scan.hpp>
#include <snkv/vector/detail/text_import.hpp>
#include <snkv/vector/store.hpp>

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

}  // namespace vector_detail

inline namespace SNKV_EXPECTED_NAMESPACE {

namespace vector_facade {

using vector_detail::TextLayout;

/// What stands before the entries.
[[nodiscard]] inline std::vector<std::pair<std::string_view, std::string>> header_of(
    const Collection& collection, bool values, std::optional<std::uint64_t> count) {
  const auto text = [](std::string_view word) { return Json(std::string(word)).dump(); };
  const vector_detail::CollectionConfig& config = collection.config();
  std::vector<std::pair<std::string_view, std::string>> members{
      {"version", std::to_string(vector_detail::text_version)},
      {"dim", std::to_string(config.dim)},
      {"metric", text(vector_detail::exchange_name(config.metric))},
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
                                       const vector_detail::CollectionTables& tables,
                                       std::ostream& out, TextLayout layout,
                                       const VectorExport& options,
                                       std::optional<std::uint64_t> count, std::uint64_t& written) {
  const auto stream_failed = [&] { return Error(Errc::io_error, operation, "the stream failed"); };
  const vector_detail::QuietStream quiet(out);
  vector_detail::CallerProgress progress(options.progress, &collection.image());
  vector_detail::TextWriter writer(out, layout, options.pretty);
  writer.header(header_of(collection, options.values, count));
  const vector_detail::EntryCondition condition = condition_of(collection, options.filter, {});
  vector_detail::EntryScan scan(operation, collection, tables, condition);
  vector_detail::TextRecord record;
  record.vector.resize(collection.config().dim);
  Error error = scan.run({}, [&](std::string_view key, const auto& item, bool&) -> Error {
    if (written % 256 == 0 && !progress(written, count.value_or(0))) {
      return progress.error(operation);
    }
    record.key = key;
    record.expires_at.reset();
    if (item.expires_at != 0) record.expires_at = item.expires_at;
    std::optional<Bytes> value;
    Error failed = vector_detail::read_vector_of(operation, key, tables, item, record.vector);
    if (!failed.failed() && vector_detail::parse_metadata(item.metadata).is_discarded()) {
      failed = vector_detail::damaged(operation, "its metadata are no JSON object");
    }
    if (!failed.failed() && options.values) {
      failed = vector_detail::read_value(operation, tables, key, value);
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

[[nodiscard]] inline Result<std::uint64_t> import_text(const char* operation,
                                                       const Collection& collection,
                                                       const std::shared_ptr<core::Scope>& scope,
                                                       std::istream& in, TextLayout layout,
                                                       const VectorImport& options) {
  std::uint64_t count = 0;
  SkippedEntries skipped;
  const vector_detail::QuietStream quiet(in);
  vector_detail::CallerProgress progress(options.progress, &collection.image());
  const Progress linking = [&](std::uint64_t done, std::uint64_t total) {
    return progress(count + count * done / std::max<std::uint64_t>(total, 1), 2 * count);
  };
  Error error = collection.write(
      operation, scope, {options.sync},
      [&](vector_detail::RowWriter& writer, const vector_detail::CollectionTables& tables) {
        vector_detail::TextImporter importer(operation, collection, tables, writer, options,
                                             progress);
        Error failed =
            vector_detail::read_text(operation, in, layout, collection.config().dim, importer);
        count = importer.count();
        skipped = importer.skipped();
        return failed;
      },
      linking);
  if (options.skipped != nullptr && !error.failed()) *options.skipped = std::move(skipped);
  return facade::as_result(std::move(error), std::move(count));
}

/// Completes the options of a new collection from what stands before the entries, and goes back to
/// the beginning of the stream.
[[nodiscard]] inline Error complete_options(const char* operation, std::istream& in,
                                            TextLayout layout, Refused refused,
                                            VectorStoreOptions& options) {
  const vector_detail::QuietStream quiet(in);
  const std::istream::pos_type begin = in.tellg();
  vector_detail::HeaderSink sink(refused);
  Error error = vector_detail::read_text(operation, in, layout, 0, sink);
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

[[nodiscard]] inline Result<VectorStore<>> import_collection(
    VectorCollections& collections, std::string_view name, std::istream& in,
    VectorStoreOptions options, VectorImport import, TextLayout layout) {
  const bool is_document = layout == TextLayout::document;
  if (Error error =
          complete_options(is_document ? "import_json" : "import_jsonl", in, layout,
                           import.refused, options);
      error.failed()) {
    return Unexpected(std::move(error));
  }
  auto created = collections.create(name, options);
  if (!created) return created;
  import.any_metric = true;  // the caller has chosen it, or it is the one of the text
  auto count = is_document ? created->import_json(in, import) : created->import_jsonl(in, import);
  if (count) return created;
  *created = VectorStore<>();
  (void)collections.drop(name);
  return Unexpected(std::move(count).error());
}

}  // namespace vector_facade

inline Result<std::uint64_t> VectorOperations::export_text(const char* operation, std::ostream& out,
                                                           vector_detail::TextLayout layout,
                                                           const VectorExport& options) const {
  if (collection_ == nullptr) return Unexpected(vector_facade::closed(operation));
  if (scope_ == nullptr && options.filter) {
    Error error = collection_->catch_up(operation);
    if (error.failed()) return Unexpected(std::move(error));
  }
  std::uint64_t written = 0;
  Error error = vector_detail::with_rows(
      operation, *collection_, scope_, [&](const vector_detail::CollectionTables& tables) -> Error {
        std::optional<std::uint64_t> count;
        if (!options.filter || options.filter->is_all()) {
          auto size = VectorOperations(collection_, tables.meta.scope).size();
          if (!size) return vector_detail::as_error_of(operation, std::move(size).error());
          count = *size;
        }
        return vector_facade::export_text(operation, *collection_, tables, out, layout, options,
                                          count, written);
      });
  return facade::as_result(std::move(error), std::move(written));
}
inline Result<std::uint64_t> VectorOperations::export_json(std::ostream& out,
                                                           const VectorExport& options) const {
  return export_text("export_json", out, vector_detail::TextLayout::document, options);
}
inline Result<std::uint64_t> VectorOperations::export_jsonl(std::ostream& out,
                                                            const VectorExport& options) const {
  return export_text("export_jsonl", out, vector_detail::TextLayout::lines, options);
}

inline Result<std::uint64_t> VectorOperations::import_json(std::istream& in,
                                                           const VectorImport& options) {
  constexpr const char* operation = "import_json";
  if (collection_ == nullptr) return Unexpected(vector_facade::closed(operation));
  return vector_facade::import_text(operation, *collection_, scope_, in,
                                    vector_detail::TextLayout::document, options);
}
inline Result<std::uint64_t> VectorOperations::import_jsonl(std::istream& in,
                                                            const VectorImport& options) {
  constexpr const char* operation = "import_jsonl";
  if (collection_ == nullptr) return Unexpected(vector_facade::closed(operation));
  return vector_facade::import_text(operation, *collection_, scope_, in,
                                    vector_detail::TextLayout::lines, options);
}

inline Result<VectorStore<>> VectorCollections::import_json(std::string_view name, std::istream& in,
                                                            VectorStoreOptions options,
                                                            const VectorImport& import) {
  return vector_facade::import_collection(*this, name, in, std::move(options), import,
                                          vector_detail::TextLayout::document);
}
inline Result<VectorStore<>> VectorCollections::import_jsonl(std::string_view name,
                                                             std::istream& in,
                                                             VectorStoreOptions options,
                                                             const VectorImport& import) {
  return vector_facade::import_collection(*this, name, in, std::move(options), import,
                                          vector_detail::TextLayout::lines);
}

}  // namespace SNKV_EXPECTED_NAMESPACE
}  // namespace snkv
