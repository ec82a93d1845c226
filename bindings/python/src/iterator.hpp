/// \file
/// Iterators: manual cursors that are Python iterators too.
#pragma once

#include "session.hpp"

#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace snkv_python {

/// An iterator over a range in one direction. It goes to the first entry in that direction by
/// itself, when it is used without having been positioned.
///
/// As a Python iterator it reads ahead, unless it belongs to a transaction, whose writes it has to
/// see: entries are copied in batches, without the interpreter's lock.
class IteratorState final : public Guest {
 public:
  IteratorState(snkv::Iterator iterator, bool reverse, std::shared_ptr<Scope> scope)
      : iterator_(std::move(iterator)), scope_(std::move(scope)), reverse_(reverse) {}

  enum class Move { first, last, next, prev };

  void end() noexcept override;

  // ---- With `mutex` held ----

  [[nodiscard]] std::mutex& mutex() noexcept { return scope_ ? scope_->mutex : own_mutex_; }

  // These read, so without the interpreter's lock.
  [[nodiscard]] snkv::Result<void> move(Move move);
  [[nodiscard]] snkv::Result<void> seek(snkv::BytesView key);
  /// Makes the current entry one that was not given out yet; false at the end.
  [[nodiscard]] snkv::Result<bool> advance();
  /// Goes to the first entry if it was not positioned; whether there is a current one.
  [[nodiscard]] snkv::Result<bool> settle();

  /// Whether `settle` has nothing to do.
  [[nodiscard]] bool is_settled() const noexcept { return settled_ && !ended_; }
  [[nodiscard]] bool has_current() const noexcept {
    return !buffered_.empty() || iterator_.valid();
  }
  /// Requires `has_current`; views live until the iterator is used again.
  [[nodiscard]] snkv::Entry current() const noexcept;
  /// `advance`, if that needs no reading; false if it does.
  [[nodiscard]] bool advance_in_buffer() noexcept {
    if (at_ + 1 >= buffered_.size()) return false;
    ++at_;
    return true;
  }

 private:
  struct Span {
    std::size_t at;
    std::size_t key_size;
    std::size_t value_size;
  };

  [[nodiscard]] snkv::Result<void> check() const;
  void start() noexcept;
  [[nodiscard]] snkv::Result<void> leave_buffer();
  void read_ahead();

  std::mutex own_mutex_;
  snkv::Iterator iterator_;
  std::shared_ptr<Scope> scope_;
  bool reverse_;
  bool settled_ = false;  // it has been positioned
  bool given_ = false;    // the current entry was given out as one of a Python iterator
  bool ended_ = false;

  // What was read ahead. If there is anything, the current entry is the one at at_, and iterator_
  // is behind the last one.
  std::string bytes_;
  std::vector<Span> buffered_;
  std::size_t at_ = 0;
  std::size_t batch_ = 4;
};

/// What Python programs hold.
class IteratorHandle {
 public:
  IteratorHandle(std::shared_ptr<Session> session, std::shared_ptr<IteratorState> state)
      : session_(std::move(session)), state_(std::move(state)) {}
  IteratorHandle(const IteratorHandle&) = delete;
  IteratorHandle& operator=(const IteratorHandle&) = delete;
  ~IteratorHandle();

  void first() { move(IteratorState::Move::first); }
  void last() { move(IteratorState::Move::last); }
  void next() { move(IteratorState::Move::next); }
  void prev() { move(IteratorState::Move::prev); }
  void seek(py::handle key);
  bool at_end();
  py::object key();
  py::object value();
  py::object item();
  // The next one of a Python iterator; StopIteration.
  py::object following();
  py::object following_key();
  py::object following_value();
  void close();

 private:
  /// Which parts of an entry are asked for.
  enum class Part { key, value, both };

  /// Runs `body()` with the lock of the state and without the interpreter's. The lock stays held.
  template <class Body>
  auto locked(std::unique_lock<std::mutex>& lock, Body body);
  void move(IteratorState::Move move);
  py::object current(Part part);
  py::object following(Part part);
  /// The current entry; gives the lock back.
  py::object take(std::unique_lock<std::mutex>& lock, Part part);

  std::shared_ptr<Session> session_;
  std::shared_ptr<IteratorState> state_;
};

void define_iterators(py::module_& module);

}  // namespace snkv_python
