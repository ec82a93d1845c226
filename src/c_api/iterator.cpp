#include "c_api/iterator.hpp"

namespace snkv::c_api {

Error IteratorCursor::open(Session& session) {
  if (iterator_) return {};
  auto reader = family_.reader(session);
  if (!reader) return std::move(reader).error();
  iterator_ = prefix_.empty() ? (*reader)->iterator() : (*reader)->prefix(prefix_).manual();
  in_transaction_ = session.transaction.has_value();
  copies_ = in_transaction_ || session.rollback_journal;
  auto status = iterator_->status();
  if (status) return {};
  iterator_.reset();
  return std::move(status).error();
}

Error IteratorCursor::settle() {
  on_entry_ = iterator_->valid();
  if (!on_entry_) {
    auto status = iterator_->status();
    return status ? Error() : std::move(status).error();
  }
  if (copies_) {
    key_ = Bytes(iterator_->key());
    value_ = Bytes(iterator_->value());
  }
  return {};
}

Error IteratorCursor::first(Session& session) {
  on_entry_ = false;
  if (Error error = open(session); error.failed()) return error;
  if (direction_ == Direction::forward) {
    iterator_->seek_first();
  } else {
    iterator_->seek_last();
  }
  return settle();
}

Error IteratorCursor::seek(Session& session, BytesView key) {
  const Bytes wanted(key);  // may be a view of the entry that it is on
  on_entry_ = false;
  if (Error error = open(session); error.failed()) return error;
  if (direction_ == Direction::forward) {
    iterator_->seek(wanted);
  } else {
    iterator_->seek_for_prev(wanted);
  }
  return settle();
}

Error IteratorCursor::advance(Session& session) {
  if (!on_entry_) return {};
  if (!iterator_) {
    const Bytes before = key_;
    if (Error error = seek(session, before); error.failed()) return error;
    // The entry itself may be gone; then it has moved on already.
    if (!on_entry_ || !(iterator_->key() == BytesView(before))) return {};
  }
  on_entry_ = false;
  if (direction_ == Direction::forward) {
    iterator_->next();
  } else {
    iterator_->prev();
  }
  return settle();
}

namespace {

using Direction = IteratorCursor::Direction;

KVStore* store_of(KVStore* store) noexcept { return store; }
KVStore* store_of(KVColumnFamily* family) noexcept { return family->store; }

/// Makes an iterator; one with a prefix is on its first entry.
template <class Owner>
int create(Owner* owner, std::optional<BytesView> prefix, bool positioned, Direction direction,
           KVIterator** out) noexcept {
  if (out == nullptr) return KVSTORE_ERROR;
  *out = nullptr;
  return with_family(owner, Access::read, [&](Session& session, FamilyRef& family) {
    if (!prefix) return session.refuse("iterator_create", "the prefix is no buffer");
    IteratorCursor cursor(family, Bytes(*prefix), direction);
    if (Error error = cursor.open(session); error.failed()) return session.fail(error);
    if (positioned) {
      if (Error error = cursor.first(session); error.failed()) return session.fail(error);
    }
    KVIterator* iterator = handles<KVIterator>().take();
    try {
      const std::lock_guard lock(session.children_mutex);
      session.iterators.insert(iterator);
    } catch (...) {
      handles<KVIterator>().give_back(iterator);
      throw;
    }
    iterator->store = store_of(owner);
    iterator->store_generation = iterator->store->generation;
    iterator->cursor = std::move(cursor);
    iterator->kind.store(Kind::iterator, std::memory_order_release);
    ++session.iterations;
    *out = iterator;
    return KVSTORE_OK;
  });
}

/// Runs `body(Session&, IteratorCursor&)`, which returns a code.
template <class Body>
int with_iterator(KVIterator* iterator, Body&& body) noexcept {
  if (!is_open(iterator)) return KVSTORE_ERROR;
  return with_session(iterator->store, iterator->store_generation, Access::read,
                      [&](Session& session) { return body(session, iterator->cursor); });
}

int wrong_way(Session& session) {
  return session.refuse("iterator", "forward iterators are for first and next, reverse ones for last and prev");
}

int to_first(KVIterator* iterator, Direction direction) noexcept {
  return with_iterator(iterator, [&](Session& session, IteratorCursor& cursor) {
    return cursor.direction() == direction ? session.fail(cursor.first(session)) : wrong_way(session);
  });
}

int advance(KVIterator* iterator, Direction direction) noexcept {
  return with_iterator(iterator, [&](Session& session, IteratorCursor& cursor) {
    return cursor.direction() == direction ? session.fail(cursor.advance(session))
                                           : wrong_way(session);
  });
}

/// Gives out a part of the current entry.
int part_of_entry(KVIterator* iterator, BytesView Entry::*part, void** data, int* size) noexcept {
  if (data != nullptr) *data = nullptr;
  if (size != nullptr) *size = 0;
  return with_iterator(iterator, [&](Session& session, IteratorCursor& cursor) {
    if (data == nullptr || size == nullptr) return session.refuse("iterator", "no room for the result");
    if (cursor.at_end()) return session.refuse("iterator", "it is on no entry");
    const BytesView bytes = cursor.entry().*part;
    // An empty value is still one that can be pointed to.
    static char nothing = 0;
    const void* found = bytes.data() == nullptr ? &nothing : static_cast<const void*>(bytes.data());
    *data = const_cast<void*>(found);
    *size = as_int(bytes.size());
    return KVSTORE_OK;
  });
}

constexpr auto forward = Direction::forward;
constexpr auto reverse = Direction::reverse;
constexpr auto everything = BytesView();

}  // namespace
}  // namespace snkv::c_api

using namespace snkv::c_api;

extern "C" {

int kvstore_iterator_create(KVStore* store, KVIterator** iterator) {
  return create(store, everything, false, forward, iterator);
}
int kvstore_cf_iterator_create(KVColumnFamily* family, KVIterator** iterator) {
  return create(family, everything, false, forward, iterator);
}
int kvstore_prefix_iterator_create(KVStore* store, const void* prefix, int prefix_size,
                                   KVIterator** iterator) {
  return create(store, buffer(prefix, prefix_size), true, forward, iterator);
}
int kvstore_cf_prefix_iterator_create(KVColumnFamily* family, const void* prefix, int prefix_size,
                                      KVIterator** iterator) {
  return create(family, buffer(prefix, prefix_size), true, forward, iterator);
}
int kvstore_reverse_iterator_create(KVStore* store, KVIterator** iterator) {
  return create(store, everything, false, reverse, iterator);
}
int kvstore_cf_reverse_iterator_create(KVColumnFamily* family, KVIterator** iterator) {
  return create(family, everything, false, reverse, iterator);
}
int kvstore_reverse_prefix_iterator_create(KVStore* store, const void* prefix, int prefix_size,
                                           KVIterator** iterator) {
  return create(store, buffer(prefix, prefix_size), true, reverse, iterator);
}
int kvstore_cf_reverse_prefix_iterator_create(KVColumnFamily* family, const void* prefix,
                                              int prefix_size, KVIterator** iterator) {
  return create(family, buffer(prefix, prefix_size), true, reverse, iterator);
}

int kvstore_iterator_first(KVIterator* iterator) { return to_first(iterator, forward); }
int kvstore_iterator_last(KVIterator* iterator) { return to_first(iterator, reverse); }
int kvstore_iterator_next(KVIterator* iterator) { return advance(iterator, forward); }
int kvstore_iterator_prev(KVIterator* iterator) { return advance(iterator, reverse); }

int kvstore_iterator_seek(KVIterator* iterator, const void* key, int key_size) {
  return with_iterator(iterator, [&](Session& session, IteratorCursor& cursor) {
    const auto bytes = buffer(key, key_size);
    if (!bytes) return session.refuse("iterator_seek", "the key is no buffer");
    return session.fail(cursor.seek(session, *bytes));
  });
}

int kvstore_iterator_eof(KVIterator* iterator) {
  int at_end = 1;
  (void)with_iterator(iterator, [&](Session&, IteratorCursor& cursor) {
    at_end = cursor.at_end() ? 1 : 0;
    return KVSTORE_OK;
  });
  return at_end;
}

int kvstore_iterator_key(KVIterator* iterator, void** key, int* key_size) {
  return part_of_entry(iterator, &snkv::Entry::key, key, key_size);
}
int kvstore_iterator_value(KVIterator* iterator, void** value, int* value_size) {
  return part_of_entry(iterator, &snkv::Entry::value, value, value_size);
}

void kvstore_iterator_close(KVIterator* iterator) {
  if (!is_open(iterator)) return;
  (void)with_iterator(iterator, [&](Session& session, IteratorCursor& cursor) {
    cursor.suspend();
    const std::lock_guard lock(session.children_mutex);
    session.iterators.erase(iterator);
    return KVSTORE_OK;
  });
  iterator->cursor = IteratorCursor();
  handles<KVIterator>().give_back(iterator);
}

}
