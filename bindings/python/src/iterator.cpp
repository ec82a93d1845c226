#include "iterator.hpp"

#include <algorithm>

namespace snkv_python {

using snkv::Errc;
using snkv::Error;
using snkv::Result;
using snkv::Unexpected;

namespace {

/// Limits of what is read ahead.
constexpr std::size_t largest_batch = 256;
constexpr std::size_t largest_batch_bytes = 64 * 1024;

}  // namespace

// ---- IteratorState ----

Result<void> IteratorState::check() const {
  if (ended_) return Unexpected(Error(Errc::closed, "iterate", "the iterator is closed"));
  return {};
}

void IteratorState::start() noexcept {
  if (settled_) return;
  if (reverse_) {
    iterator_.seek_last();
  } else {
    iterator_.seek_first();
  }
  settled_ = true;
}

Result<bool> IteratorState::settle() {
  if (auto open = check(); !open) return Unexpected(std::move(open).error());
  start();
  if (has_current()) return true;
  auto status = iterator_.status();
  if (!status) return Unexpected(std::move(status).error());
  return false;
}

Result<void> IteratorState::leave_buffer() {
  if (buffered_.empty()) return {};
  const std::string key = current().key.str();
  buffered_.clear();
  iterator_.seek(key);
  return iterator_.status();
}

Result<void> IteratorState::move(Move move) {
  if (auto open = check(); !open) return open;
  // As in SNKV; the other way round, a reverse iterator goes in both directions.
  if (!reverse_ && (move == Move::last || move == Move::prev)) {
    return Unexpected(Error(Errc::invalid_argument, "iterate",
                            "a forward iterator has no last and prev; a reverse one has"));
  }
  if (auto left = leave_buffer(); !left) return left;
  switch (move) {
    case Move::first:
      iterator_.seek_first();
      break;
    case Move::last:
      iterator_.seek_last();
      break;
    case Move::next:
      start();
      iterator_.next();
      break;
    case Move::prev:
      start();
      iterator_.prev();
      break;
  }
  settled_ = true;
  given_ = false;
  return iterator_.status();
}

Result<void> IteratorState::seek(snkv::BytesView key) {
  if (auto open = check(); !open) return open;
  buffered_.clear();
  if (reverse_) {
    iterator_.seek_for_prev(key);
  } else {
    iterator_.seek(key);
  }
  settled_ = true;
  given_ = false;
  return iterator_.status();
}

Result<bool> IteratorState::advance() {
  if (auto open = check(); !open) return Unexpected(std::move(open).error());
  if (advance_in_buffer()) return true;
  start();
  // After a buffer the iterator is on what comes next already.
  if (buffered_.empty() && given_) {
    if (reverse_) {
      iterator_.prev();
    } else {
      iterator_.next();
    }
  }
  buffered_.clear();
  given_ = true;
  if (!iterator_.valid()) {
    auto status = iterator_.status();
    if (!status) return Unexpected(std::move(status).error());
    return false;
  }
  if (!scope_) read_ahead();
  return true;
}

void IteratorState::read_ahead() {
  bytes_.clear();
  at_ = 0;
  while (iterator_.valid() && buffered_.size() < batch_ && bytes_.size() < largest_batch_bytes) {
    const auto [key, value] = iterator_.entry();
    buffered_.push_back({bytes_.size(), key.size(), value.size()});
    bytes_.append(key.view());
    bytes_.append(value.view());
    if (reverse_) {
      iterator_.prev();
    } else {
      iterator_.next();
    }
  }
  batch_ = std::min(largest_batch, 2 * batch_);
}

snkv::Entry IteratorState::current() const noexcept {
  if (buffered_.empty()) return iterator_.entry();
  const Span& span = buffered_[at_];
  const char* const key = bytes_.data() + span.at;
  return {snkv::BytesView(key, span.key_size),
          snkv::BytesView(key + span.key_size, span.value_size)};
}

void IteratorState::end() noexcept {
  const std::lock_guard lock(mutex());
  iterator_ = snkv::Iterator();
  buffered_.clear();
  ended_ = true;
}

// ---- IteratorHandle ----

IteratorHandle::~IteratorHandle() { close(); }

void IteratorHandle::close() {
  const WithoutGil released;
  state_->end();
}

template <class Body>
auto IteratorHandle::locked(std::unique_lock<std::mutex>& lock, Body body) {
  const WithoutGil released;
  if (!lock.owns_lock()) lock = std::unique_lock(state_->mutex());
  return body();
}

void IteratorHandle::move(IteratorState::Move move) {
  std::unique_lock<std::mutex> lock;
  auto result = locked(lock, [&] { return state_->move(move); });
  lock.unlock();
  session_->value_of(std::move(result));
}

void IteratorHandle::seek(py::handle key) {
  const BytesArgument argument(key);
  std::unique_lock<std::mutex> lock;
  auto result = locked(lock, [&] { return state_->seek(argument.view()); });
  lock.unlock();
  session_->value_of(std::move(result));
}

bool IteratorHandle::at_end() {
  std::unique_lock lock(state_->mutex(), std::try_to_lock);
  if (lock.owns_lock() && state_->is_settled()) return !state_->has_current();
  auto result = locked(lock, [&] { return state_->settle(); });
  lock.unlock();
  return !session_->value_of(std::move(result));
}

py::object IteratorHandle::take(std::unique_lock<std::mutex>& lock, Part part) {
  const snkv::Entry entry = state_->current();
  // No tuple yet: see session.hpp.
  const py::object key = part == Part::value ? py::object() : to_bytes(entry.key);
  const py::object value = part == Part::key ? py::object() : to_bytes(entry.value);
  lock.unlock();
  if (part == Part::both) return py::make_tuple(key, value);
  return part == Part::key ? key : value;
}

py::object IteratorHandle::current(Part part) {
  std::unique_lock lock(state_->mutex(), std::try_to_lock);
  if (!lock.owns_lock() || !state_->is_settled() || !state_->has_current()) {
    auto result = locked(lock, [&] { return state_->settle(); });
    if (!result || !*result) {
      lock.unlock();
      (void)session_->value_of(std::move(result));
      session_->fail(Error(Errc::not_found, "iterate", "the iterator is at its end"));
    }
  }
  return take(lock, part);
}

py::object IteratorHandle::following(Part part) {
  std::unique_lock lock(state_->mutex(), std::try_to_lock);
  if (!lock.owns_lock() || !state_->advance_in_buffer()) {
    auto result = locked(lock, [&] { return state_->advance(); });
    if (!result || !*result) {
      lock.unlock();
      (void)session_->value_of(std::move(result));
      throw py::stop_iteration();
    }
  }
  return take(lock, part);
}

py::object IteratorHandle::key() { return current(Part::key); }
py::object IteratorHandle::value() { return current(Part::value); }
py::object IteratorHandle::item() { return current(Part::both); }
py::object IteratorHandle::following() { return following(Part::both); }
py::object IteratorHandle::following_key() { return following(Part::key); }
py::object IteratorHandle::following_value() { return following(Part::value); }

void define_iterators(py::module_& module) {
  py::object (IteratorHandle::*following)() = &IteratorHandle::following;
  py::class_<IteratorHandle>(module, "Iterator")
      .def("first", &IteratorHandle::first)
      .def("last", &IteratorHandle::last)
      .def("next", &IteratorHandle::next)
      .def("prev", &IteratorHandle::prev)
      .def("seek", &IteratorHandle::seek)
      .def("eof", &IteratorHandle::at_end)
      .def("key", &IteratorHandle::key)
      .def("value", &IteratorHandle::value)
      .def("item", &IteratorHandle::item)
      .def("close", &IteratorHandle::close)
      .def("following", following)
      .def("following_key", &IteratorHandle::following_key)
      .def("following_value", &IteratorHandle::following_value);
}

}  // namespace snkv_python
