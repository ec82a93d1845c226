/// \file
/// A collection that is open: its rows and its image, and how both are kept together.
#pragma once

#include <snkv/vector/detail/base/callbacks.hpp>
#include <snkv/vector/detail/image/collection_image.hpp>
#include <snkv/vector/detail/rows/row_writer.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace snkv::vector_detail {

struct HandleOptions {
  std::uint32_t ef_search = 64;
  bool auto_save = true;
};

/// Shared by the copies of a handle.
///
/// Threads: any number, for every member.
class Collection {
 public:
  Collection(std::string name, core::Target store, CollectionTables tables,
             std::shared_ptr<CollectionImage> image, const HandleOptions& options)
      : name_(std::move(name)),
        store_(std::move(store)),
        tables_(std::move(tables)),
        image_(std::move(image)),
        options_(options) {
    image_->add_handle();
  }
  Collection(const Collection&) = delete;
  Collection& operator=(const Collection&) = delete;
  ~Collection() {
    if (!image_->drop_handle() || !saves_by_itself()) return;
    // Few changes are quickly made up for by the next open.
    const std::uint64_t few =
        64 + image_->read([](const NameTable& names, auto&) { return names.live(); }) / 32;
    if (image_->log_length() <= few) return;
    try {
      static_cast<void>(save("close", {}));  // it only saves time
    } catch (...) {
    }
  }

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  /// The store, bound to nothing.
  [[nodiscard]] const core::Target& store() const noexcept { return store_; }
  [[nodiscard]] CollectionConfig config() const noexcept { return image_->config(); }
  [[nodiscard]] CollectionImage& image() const noexcept { return *image_; }
  [[nodiscard]] std::uint32_t ef_search() const noexcept { return options_.ef_search; }
  /// Bound to nothing.
  [[nodiscard]] const CollectionTables& tables() const noexcept { return tables_; }

  /// Runs `work(RowWriter&, const CollectionTables&)` in the transaction `scope`, or in one of its
  /// own; all of it or nothing. Its own is followed by linking, of which `progress` is told; what
  /// is committed then stays, whatever becomes of the image.
  template <class Work>
  [[nodiscard]] Error write(const char* operation, const std::shared_ptr<core::Scope>& scope,
                            const WriteOptions& options, Work&& work,
                            const Progress& progress = {}) const {
    Error error = write_rows(operation, scope, options, work);
    if (!error.failed() && scope == nullptr) follow(operation, progress);
    return error;
  }

  /// `locked` in a function that this collection has called, on this thread.
  [[nodiscard]] Error check_not_called(const char* operation) const {
    return CallbackFrame::check(operation, image_.get());
  }

  [[nodiscard]] Error catch_up(const char* operation, const Progress& progress = {}) const {
    if (Error error = check_not_called(operation); error.failed()) return error;
    Error error = named(operation, image_->catch_up(operation, tables_, progress));
    tell_of_damage();
    return error;
  }
  /// What is known of rows that cannot be used.
  [[nodiscard]] DamageList& damage() const noexcept { return image_->damage(); }

  /// Whether a snapshot can be written beside the file.
  [[nodiscard]] bool can_save() const noexcept {
    return !core::is_read_only(store_) && !core::path(store_).empty();
  }
  [[nodiscard]] bool saves_by_itself() const noexcept { return options_.auto_save && can_save(); }

  /// Writes a snapshot of the image beside the file, and takes what is in it out of the log.
  [[nodiscard]] Error save(const char* operation, const Progress& progress) const {
    if (Error error = check_not_called(operation); error.failed()) return error;
    const std::lock_guard saving(image_->save_mutex());
    if (Error error = catch_up(operation); error.failed()) return error;
    // Who reads what is saved looks at no row, and would not learn of it.
    if (const std::uint64_t rows = damage().size(); rows != 0) {
      return damaged(operation, std::to_string(rows) + " rows are damaged: call repair first");
    }
    const CollectionImage::Moment moment = image_->freeze();
    SideSink sink(image_->pool());
    Error error = sink.create(store_, CollectionImage::side_suffix(config().id), progress);
    if (!error.failed()) {
      moment.image.write(sink);
      error = sink.error();
    }
    if (!error.failed()) error = sink.finish();
    if (error.failed()) return as_error_of(operation, std::move(error));
    // Other processes do the same: the transaction decides who puts his in place. Between that and
    // the commit the snapshot is newer than the state says, which is recognised by the log.
    return write_rows(operation, nullptr, {}, [&](RowWriter& writer, const CollectionTables&) {
      const StateRow& state = writer.state();
      const std::uint64_t sequence = moment.stamp.sequence;
      if (sequence < state.saved_sequence || sequence < state.log_start) return Error();
      Error failed = as_error_of(operation, sink.publish());
      if (failed.failed()) return failed;
      writer.set_saved(sequence, moment.stamp.chain);
      failed = writer.trim_log(sequence);
      if (!failed.failed()) image_->set_log_start(sequence);
      return failed;
    });
  }

  /// `no_memory` if the index had no room for `vectors` more, and for what was committed or written in the
  /// writer's transaction and is not in the index yet.
  [[nodiscard]] Error check_memory(const char* operation, const RowWriter& writer,
                                   std::uint64_t vectors) const {
    if (image().options().memory_limit == 0) return {};
    const std::uint64_t known =
        image().read([](const auto& names, auto&) { return names.live(); });
    const std::uint64_t live = writer.state().live;
    return image().check_memory(operation, vectors + (live > known ? live - known : 0));
  }

  /// Why a vector is refused; ok if it is not.
  [[nodiscard]] Error check_vector(const char* operation, std::span<const float> vector,
                                   BytesView key) const {
    const auto whose = [&] {
      return key.empty() ? std::string("the query") : "the vector of " + printable(key);
    };
    if (vector.size() != config().dim) {
      return Error(Errc::dimension_mismatch, operation,
                   whose() + " has " + std::to_string(vector.size()) + " dimensions, not " +
                       std::to_string(config().dim));
    }
    bool zero = true;
    bool finite = true;
    for (const float x : vector) {
      finite = finite && std::isfinite(x);
      zero = zero && x == 0;
    }
    if (!finite) return Error(Errc::bad_vector, operation, whose() + " is not finite");
    if (zero && config().metric == Metric::cosine) {
      return Error(Errc::bad_vector, operation, whose() + " has length zero, hence no direction");
    }
    return {};
  }

 private:
  template <class Work>
  [[nodiscard]] Error write_rows(const char* operation, const std::shared_ptr<core::Scope>& scope,
                                 const WriteOptions& options, Work&& work) const {
    if (Error error = check_not_called(operation); error.failed()) return error;
    const auto run = [&](const CollectionTables& tables) {
      RowWriter writer(operation, tables, config().dim, damage());
      Error error = writer.start();
      if (!error.failed()) error = work(writer, tables);
      if (!error.failed()) error = writer.finish();
      return named(operation, std::move(error));
    };
    if (scope != nullptr) return within(operation, tables_.in(scope), run);
    OwnTransaction transaction;
    Error error = transaction.begin(store_, options);
    if (error.failed()) return as_error_of(operation, std::move(error));
    error = run(tables_.in(transaction.scope()));
    return error.failed() ? error : as_error_of(operation, transaction.commit());
  }

  /// Rows that are damaged are those of a collection, of which a store may have many.
  [[nodiscard]] Error named(const char* operation, Error error) const {
    if (!(error == Errc::corrupt)) return error;
    const std::string whose = "collection " + printable(name_) + ": ";
    if (error.detail().starts_with(whose)) return error;
    return Error(Errc::corrupt, operation, whose + error.detail(), error.extended());
  }

  /// Tells the store's log. Holds no lock, because the log may use the collection.
  void tell_of_damage() const {
    constexpr std::size_t most = 20;
    const auto news = image_->damage().take_news();
    for (std::size_t i = 0; i < std::min(news.size(), most); ++i) {
      const auto& [key, what] = news[i];
      const std::string whose = key.empty() ? "" : printable(key) + " is left out: ";
      core::log(store_, LogLevel::error,
                "collection " + printable(name_) + ": " + whose + what);
    }
    if (news.size() > most) {
      core::log(store_, LogLevel::error,
                "collection " + printable(name_) + ": " +
                    std::to_string(news.size() - most) + " more rows are damaged");
    }
  }

  /// Runs `run(tables)` as a part of a caller's transaction.
  template <class Run>
  static Error within(const char* operation, const CollectionTables& tables, Run&& run) {
    std::uint64_t savepoint = 0;
    Error error = core::savepoint(tables.meta, savepoint);
    if (error.failed()) return as_error_of(operation, std::move(error));
    error = run(tables);
    if (!error.failed()) {
      return as_error_of(operation, core::savepoint_release(tables.meta, savepoint));
    }
    core::savepoint_abandon(tables.meta, savepoint);
    return error;
  }

  /// After a commit of our own. Whatever fails here is made up for by the next operation.
  void follow(const char* operation, const Progress& progress) const {
    try {
      if (catch_up(operation).failed()) return;
      image_->maintain([&](std::uint64_t done, std::uint64_t total) {
        return !progress || progress(done, total);
      });
      shorten_log(operation);
    } catch (const std::bad_alloc&) {
    }
  }

  /// Saves the image when the log has become long; where nothing is saved, cuts the log.
  void shorten_log(const char* operation) const {
    const std::uint64_t live =
        image_->read([](const NameTable& names, auto&) { return names.live(); });
    const std::uint64_t long_enough = std::max<std::uint64_t>(4096, live / 4);
    const std::uint64_t length = image_->log_length();
    if (length <= long_enough || !image_->may_shorten_log(long_enough)) return;
    if (saves_by_itself() && damage().size() == 0) {
      static_cast<void>(save(operation, {}));
    } else if (length > 2 * long_enough) {
      // Who has not got so far compares all rows instead.
      const std::uint64_t sequence = image_->applied() - long_enough;
      static_cast<void>(write_rows(operation, nullptr, {}, [&](RowWriter& writer, auto&) {
        Error error = writer.trim_log(std::min(sequence, writer.state().sequence));
        if (!error.failed()) image_->set_log_start(sequence);
        return error;
      }));
    }
  }

  const std::string name_;
  const core::Target store_;
  const CollectionTables tables_;
  const std::shared_ptr<CollectionImage> image_;
  const HandleOptions options_;
};

}  // namespace snkv::vector_detail
