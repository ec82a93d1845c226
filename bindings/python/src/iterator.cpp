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

Result<void> IteratorState::settle() {
  const std::lock_guard lock(mutex());
  if (auto open = check(); !open) return open;
  start();
  return has_current() ? Result<void>() : iterator_.status();
}

Result<void> IteratorState::leave_buffer() {
  if (buffered_.empty()) return {};
  const std::string key = current().key.str();
  buffered_.clear();
  iterator_.seek(key);
  return iterator_.status();
}

Result<void> IteratorState::move(Move move) {
  const std::lock_guard lock(mutex());
  if (auto open = check(); !open) return open;
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
  const std::lock_guard lock(mutex());
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
  const std::lock_guard lock(mutex());
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

void IteratorHandle::move(IteratorState::Move move) {
  auto result = [&] {
    const WithoutGil released;
    return state_->move(move);
  }();
  session_->value_of(std::move(result));
}

void IteratorHandle::seek(py::handle key) {
  const BytesArgument argument(key);
  auto result = [&] {
    const WithoutGil released;
    return state_->seek(argument.view());
  }();
  session_->value_of(std::move(result));
}

template <class Use>
auto IteratorHandle::settled(Use use) {
  std::unique_lock lock(state_->mutex(), std::try_to_lock);
  if (!lock.owns_lock()) {
    const WithoutGil released;
    lock.lock();
  }
  if (!state_->is_settled() || state_->has_ended()) {
    lock.unlock();
    auto result = [&] {
      const WithoutGil released;
      return state_->settle();
    }();
    session_->value_of(std::move(result));
    const WithoutGil released;
    lock.lock();
  }
  return use();
}

template <class Make>
auto IteratorHandle::current(Make make) {
  return settled([&] {
    if (!state_->has_current()) {
      session_->fail(Error(Errc::not_found, "iterate", "the iterator is at its end"));
    }
    return make(state_->current());
  });
}

bool IteratorHandle::at_end() {
  return settled([&] { return !state_->has_current(); });
}
py::bytes IteratorHandle::key() {
  return current([](const snkv::Entry& entry) { return to_bytes(entry.key); });
}
py::bytes IteratorHandle::value() {
  return current([](const snkv::Entry& entry) { return to_bytes(entry.value); });
}
py::tuple IteratorHandle::item() {
  return current([](const snkv::Entry& entry) {
    return py::make_tuple(to_bytes(entry.key), to_bytes(entry.value));
  });
}

template <class Make>
py::object IteratorHandle::following(Make make) {
  {
    const std::unique_lock lock(state_->mutex(), std::try_to_lock);
    if (lock.owns_lock() && state_->advance_in_buffer()) return make(state_->current());
  }
  auto result = [&] {
    const WithoutGil released;
    return state_->advance();
  }();
  if (!session_->value_of(std::move(result))) throw py::stop_iteration();
  return current(make);
}

void define_iterators(py::module_& module) {
  const auto pair = [](const snkv::Entry& entry) -> py::object {
    return py::make_tuple(to_bytes(entry.key), to_bytes(entry.value));
  };
  const auto only_key = [](const snkv::Entry& entry) -> py::object { return to_bytes(entry.key); };
  const auto only_value = [](const snkv::Entry& entry) -> py::object {
    return to_bytes(entry.value);
  };
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
      .def("following", [pair](IteratorHandle& self) { return self.following(pair); })
      .def("following_key", [only_key](IteratorHandle& self) { return self.following(only_key); })
      .def("following_value",
           [only_value](IteratorHandle& self) { return self.following(only_value); });
}

}  // namespace snkv_python
