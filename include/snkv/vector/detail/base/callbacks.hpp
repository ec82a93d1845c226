/// \file
/// Functions of the caller, kept from throwing through the index and from using it while it calls them.
///
/// The rule is that of the store: whatever such a function throws becomes `aborted`, with what the
/// exception says of itself. A progress function that throws counts as one that asks to stop.
#pragma once

#include <snkv/error.hpp>
#include <snkv/import_report.hpp>
#include <snkv/options.hpp>
#include <snkv/vector/detail/base/json_depth.hpp>

#include <atomic>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

namespace snkv::vector_detail {

/// Marks, as long as it lives, that this thread is in a function of the caller that a collection has
/// called. The collection holds locks meanwhile, so what needs them must not be waited for.
class CallbackFrame {
 public:
  explicit CallbackFrame(const void* collection) noexcept : collection_(collection), before_(top()) {
    top() = this;
  }
  CallbackFrame(const CallbackFrame&) = delete;
  CallbackFrame& operator=(const CallbackFrame&) = delete;
  ~CallbackFrame() { top() = before_; }

  /// Whether this thread is in a function that this collection has called.
  [[nodiscard]] static bool is_in(const void* collection) noexcept {
    for (const CallbackFrame* frame = top(); frame != nullptr; frame = frame->before_) {
      if (frame->collection_ == collection) return true;
    }
    return false;
  }
  /// `locked` in such a function.
  [[nodiscard]] static Error check(const char* operation, const void* collection) {
    if (!is_in(collection)) return {};
    return Error(Errc::locked, operation, "called by a function that the collection has called");
  }

 private:
  [[nodiscard]] static const CallbackFrame*& top() noexcept {
    thread_local const CallbackFrame* frame = nullptr;
    return frame;
  }
  const void* collection_;
  const CallbackFrame* before_;
};

/// Calls a function of the caller, and keeps what it has thrown.
///
/// Threads: any number.
class CallerFunction {
 public:
  /// `name`: for messages. `collection`: whose locks may be held meanwhile.
  CallerFunction(const char* name, const void* collection) noexcept
      : name_(name), collection_(collection) {}

  /// The answer; false when the function throws, or has thrown before.
  template <class Call>
  [[nodiscard]] bool ask(Call&& call) noexcept {
    if (threw()) return false;
    const CallbackFrame frame(collection_);
    try {
      return call();
    } catch (const std::exception& error) {
      keep(error.what());
    } catch (...) {
      keep(nullptr);
    }
    return false;
  }
  [[nodiscard]] bool threw() const noexcept { return threw_.load(std::memory_order_acquire); }

  /// For `threw`.
  [[nodiscard]] Error error(const char* operation) const {
    const std::lock_guard lock(mutex_);
    std::string detail = std::string(name_) + " threw an exception";
    if (!what_.empty()) detail += ": " + what_;
    return Error(Errc::aborted, operation, std::move(detail));
  }

 private:
  void keep(const char* what) noexcept {
    const std::lock_guard lock(mutex_);
    try {
      if (what != nullptr && what_.empty()) what_ = what;
    } catch (...) {  // no memory for the text
    }
    threw_.store(true, std::memory_order_release);
  }

  const char* name_;
  const void* collection_;
  mutable std::mutex mutex_;
  std::string what_;  // guarded by mutex_
  std::atomic<bool> threw_{false};
};

/// The progress function of one call. Refers to it.
///
/// Threads: any number.
class CallerProgress {
 public:
  CallerProgress(const Progress& function, const void* collection) noexcept
      : function_(function), caller_("the progress function", collection) {}

  /// False when the work shall stop.
  bool operator()(std::uint64_t done, std::uint64_t total) noexcept {
    if (!function_) return true;
    if (stopped()) return false;
    if (caller_.ask([&] { return function_(done, total); })) return true;
    stopped_.store(true, std::memory_order_relaxed);
    return false;
  }
  [[nodiscard]] bool stopped() const noexcept { return stopped_.load(std::memory_order_relaxed); }
  [[nodiscard]] bool is_there() const noexcept { return static_cast<bool>(function_); }
  /// For those who take a function; refers to this. Empty if there is none to be called.
  [[nodiscard]] Progress function() noexcept {
    return is_there() ? Progress(std::ref(*this)) : Progress();
  }

  /// For `stopped`.
  [[nodiscard]] Error error(const char* operation) const {
    if (caller_.threw()) return caller_.error(operation);
    return Error(Errc::aborted, operation, "the progress function asked to stop");
  }
  /// `error` as it is, or what this says of it if it is this that stopped the work.
  [[nodiscard]] Error explain(const char* operation, Error error) const {
    return error == Errc::aborted && stopped() ? this->error(operation) : error;
  }

 private:
  const Progress& function_;
  CallerFunction caller_;
  std::atomic<bool> stopped_{false};
};

/// The entries that one import leaves out. Refers to the function that is told of each.
class LeftOut {
 public:
  LeftOut(const OnSkipped& function, const void* collection) noexcept
      : function_(function), caller_("on_skipped", collection) {}

  /// Tells the function of one. An error only if it throws.
  [[nodiscard]] Error tell(const char* operation, const SkippedEntry& entry) {
    const auto call = [&] {
      function_(entry);
      return true;
    };
    return !function_ || caller_.ask(call) ? Error() : caller_.error(operation);
  }
  /// The same, and counts it.
  [[nodiscard]] Error add(const char* operation, SkippedEntry entry) {
    if (Error error = tell(operation, entry); error.failed()) return error;
    entries_.add(std::move(entry));
    return {};
  }
  [[nodiscard]] SkippedEntries& entries() noexcept { return entries_; }

 private:
  const OnSkipped& function_;
  CallerFunction caller_;
  SkippedEntries entries_;
};

using EntryPredicate = std::function<bool(std::string_view key, const Json& metadata)>;

/// The predicate of one call. Refers to it.
///
/// Threads: any number.
class CallerPredicate {
 public:
  CallerPredicate(const EntryPredicate& function, const void* collection) noexcept
      : function_(function), caller_("the predicate", collection) {}

  /// False too when it throws, or has thrown.
  [[nodiscard]] bool operator()(std::string_view key, const Json& metadata) noexcept {
    return caller_.ask([&] { return function_(key, metadata); });
  }
  [[nodiscard]] bool threw() const noexcept { return caller_.threw(); }
  [[nodiscard]] Error error(const char* operation) const { return caller_.error(operation); }

 private:
  const EntryPredicate& function_;
  CallerFunction caller_;
};

}  // namespace snkv::vector_detail
