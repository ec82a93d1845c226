/// \file
/// Puts entries as they are read from text, and leaves out those that are refused where that is wanted.
#pragma once

#include <snkv/import_report.hpp>
#include <snkv/vector/detail/base/callbacks.hpp>
#include <snkv/vector/detail/base/streams.hpp>
#include <snkv/vector/detail/collection/collection.hpp>
#include <snkv/vector/detail/text/record_reader.hpp>
#include <snkv/vector/store_types.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <istream>
#include <optional>
#include <string>
#include <unordered_set>
#include <utility>

namespace snkv::vector_detail {

/// The version of the text. A reader refuses those that it does not know.
inline constexpr int text_version = 1;

/// Puts entries as they are read, in one transaction.
class TextImporter final : public TextSink {
 public:
  TextImporter(const char* operation, const Collection& collection, const CollectionTables& tables,
               RowWriter& writer, const VectorImport& options, CallerProgress& progress)
      : operation_(operation),
        collection_(collection),
        tables_(tables),
        writer_(writer),
        options_(options),
        progress_(progress),
        left_out_(options.on_skipped, &collection.image()) {}

  /// Entries that were put.
  [[nodiscard]] std::uint64_t count() const noexcept { return seen_.size(); }
  [[nodiscard]] SkippedEntries& skipped() noexcept { return left_out_.entries(); }

  Error header(const Json& members) override {
    const auto refuse = [&](Errc code, std::string why) {
      return Error(code, operation_, std::move(why));
    };
    const CollectionConfig config = collection_.config();
    for (const auto& [name, value] : members.items()) {
      if (name == "version" && !(value == text_version)) {
        return refuse(Errc::unsupported_version, "version is " + value.dump());
      }
      if (name == "dim" && !(value == config.dim)) {
        return refuse(Errc::dimension_mismatch,
                      "dim is " + value.dump() + ", here it is " + std::to_string(config.dim));
      }
      if (name == "metric") {
        std::optional<Metric> metric;
        if (value.is_string()) metric = parse_metric(value.get_ref<const std::string&>());
        if (!metric) return refuse(Errc::invalid_argument, "unknown metric " + value.dump());
        if (metric != config.metric && !options_.any_metric) {
          return refuse(Errc::metric_mismatch, "the metric is " + value.dump() + ", here it is " +
                                                   std::string(to_string(config.metric)));
        }
      }
      if (name == "values") has_values_ = value == true;
      if (name == "count" && value.is_number_unsigned()) total_ = value.get<std::uint64_t>();
    }
    return {};
  }

  Error record(const TextRecord& record) override {
    EntryChange change{.key = record.key, .vector = record.vector.data()};
    if (options_.only_new) change.wanted = EntryChange::Wanted::absent;
    if (record.value) change.value = *record.value;
    if (Error error = check(record, change); error.failed()) return error;
    // From here on rows may have been written, so only what is found before that can be skipped.
    writing_ = true;
    Error error = collection_.check_memory(operation_, writer_, 1);
    if (!error.failed()) error = writer_.put(change);
    if (!error.failed() && has_values_ && !record.value) error = writer_.erase_value(record.key);
    writing_ = false;
    if (error == Errc::exists || !error.failed()) {
      if (!error.failed()) seen_.insert(record.key);
      return error.failed() ? error : report();
    }
    return Error(error.code(), operation_, error.detail(), error.extended());
  }

  [[nodiscard]] bool may_skip(const Error& why) const override {
    return options_.refused != Refused::stop && !writing_ && is_refusal(why);
  }
  Error refused(const TextRecord& record, std::string place, const Error& why) override {
    SkippedEntry skipped{record.key, std::move(place), why.detail(), false};
    if (Error error = keep_value(record, skipped.kept_value); error.failed()) return error;
    return left_out_.add(operation_, std::move(skipped));
  }

  /// Whether it is the entry that an error is about.
  [[nodiscard]] static bool is_refusal(const Error& error) {
    return error == Errc::invalid_argument || error == Errc::bad_vector ||
           error == Errc::dimension_mismatch || error == Errc::too_large || error == Errc::exists;
  }

 private:
  /// Everything for which an entry can be refused, and the rest of the change.
  [[nodiscard]] Error check(const TextRecord& record, EntryChange& change) const {
    if (seen_.contains(record.key)) {
      return Error(Errc::exists, operation_, RowWriter::printable(record.key) + " comes twice");
    }
    if (record.key.size() < min_key_size) {
      return Error(Errc::invalid_argument, operation_, "the key is empty");
    }
    if (record.key.size() > max_key_size ||
        (record.value && record.value->size() > max_value_size)) {
      return Error(Errc::too_large, operation_,
                   RowWriter::printable(record.key) + ": the key or the value is too large");
    }
    Error error = collection_.check_vector(operation_, record.vector, record.key);
    if (!error.failed()) {
      error = metadata_text(operation_, record.key, record.metadata, change.metadata);
    }
    if (!change.metadata) change.metadata.emplace();
    std::int64_t expires_at = 0;
    if (!error.failed() && record.expires_at) {
      error = expiry_of(operation_,
                        {.expires_at = TimePoint(std::chrono::milliseconds(*record.expires_at))},
                        writer_.now(), expires_at);
    }
    change.expires_at = expires_at;
    return error;
  }

  /// Puts the value of an entry that was refused, where that is wanted, and does no harm.
  [[nodiscard]] Error keep_value(const TextRecord& record, bool& kept) const {
    const bool has_key = record.key.size() >= min_key_size && record.key.size() <= max_key_size;
    if (options_.refused != Refused::keep_value || !record.value || !has_key ||
        record.value->size() > max_value_size || !tables_.has_values()) {
      return {};
    }
    Bytes there;
    Error error = core::get(tables_.items, record.key, there);
    if (error == Errc::not_found) error = core::get(tables_.values, record.key, there);
    if (!(error == Errc::not_found)) return as_error_of(operation_, std::move(error));
    PutOptions options;
    if (record.expires_at && *record.expires_at < 0) return {};
    if (record.expires_at) {
      options.expires_at = TimePoint(std::chrono::milliseconds(*record.expires_at));
    }
    kept = true;
    return as_error_of(operation_, core::put(tables_.values, record.key, *record.value, options));
  }

  [[nodiscard]] Error report() {
    if (count() % 256 != 0) return {};
    const std::uint64_t total = total_ == 0 ? 0 : 2 * std::max(total_, count());
    return progress_(count(), total) ? Error() : progress_.error(operation_);
  }

  const char* operation_;
  const Collection& collection_;
  const CollectionTables& tables_;
  RowWriter& writer_;
  const VectorImport& options_;
  CallerProgress& progress_;
  LeftOut left_out_;
  std::unordered_set<std::string> seen_;
  bool writing_ = false;
  bool has_values_ = false;  // an entry without a value has none, and not: it is not told
  std::uint64_t total_ = 0;
};

/// Ends the reading before the first entry, with what stands there.
class HeaderSink final : public TextSink {
 public:
  explicit HeaderSink(Refused refused) noexcept : refused_(refused) {}
  Error header(const Json& members) override {
    members_ = members;
    return stop();
  }
  Error record(const TextRecord& record) override {
    members_ = Json{{"dim", record.vector.size()}};
    return stop();
  }
  // Dimensions are told by the first entry that is one.
  [[nodiscard]] bool may_skip(const Error& why) const override {
    return refused_ != Refused::stop && !members_ && TextImporter::is_refusal(why);
  }
  Error refused(const TextRecord&, std::string, const Error&) override { return {}; }
  [[nodiscard]] const std::optional<Json>& members() const noexcept { return members_; }

 private:
  static Error stop() { return Error(Errc::aborted, "import", ""); }
  const Refused refused_;
  std::optional<Json> members_;
};

/// Gives all of a text to the sink. The stream is quiet.
[[nodiscard]] inline Error read_text(const char* operation, std::istream& in, TextLayout layout,
                                     std::size_t dim, TextSink& sink) {
  RecordReader reader(operation, layout, dim, sink);
  const auto stream_failed = [&] { return Error(Errc::io_error, operation, "the stream failed"); };
  if (!in.good()) return stream_failed();
  if (layout == TextLayout::document) {
    StreamCharacters characters(in);
    const bool parsed = Json::sax_parse(StreamCharacters::Iterator(characters),
                                        StreamCharacters::Iterator(), &reader);
    if (in.bad()) return stream_failed();
    return parsed ? Error() : reader.take_error();
  }
  std::string line;
  for (std::uint64_t number = 1; std::getline(in, line); ++number) {
    if (line.find_first_not_of(" \t\r") == line.npos) continue;
    reader.begin_line(number);
    if (Json::sax_parse(line, &reader)) continue;
    // Without an error it was a line that is left out.
    if (Error error = reader.take_error(); error.failed()) return error;
  }
  return in.bad() ? stream_failed() : Error();
}

}  // namespace snkv::vector_detail
