#include "c_api/session.hpp"

#include "c_api/iterator.hpp"

namespace snkv::c_api {

// ---- FamilyRef ----

Result<ColumnFamily*> FamilyRef::resolve(Session& session) {
  if (dropped) return Unexpected(Error(Errc::dropped, "open_column_family", name_));
  if (!session.in_transaction()) {
    if (family_) return &*family_;
    return Unexpected(Error(Errc::dropped, "open_column_family", name_));
  }
  if (!bound_ || bound_to_ != session.transaction_number) {
    auto bound = session.transaction ? session.transaction->open_column_family(name_)
                                     : session.snapshot->column_family(name_);
    if (!bound) return Unexpected(std::move(bound).error());
    bound_ = *std::move(bound);
    bound_to_ = session.transaction_number;
  }
  return &*bound_;
}

Result<const EntryReader*> FamilyRef::reader(Session& session) {
  if (!is_default()) {
    auto family = resolve(session);
    if (!family) return Unexpected(std::move(family).error());
    return *family;
  }
  if (session.transaction) return &*session.transaction;
  if (session.snapshot) return &*session.snapshot;
  return &session.store;
}

Result<EntryWriter*> FamilyRef::writer(Session& session) {
  if (session.snapshot) {
    return Unexpected(Error(Errc::read_only, "write", "a transaction for reading is open"));
  }
  if (!is_default()) {
    auto family = resolve(session);
    if (!family) return Unexpected(std::move(family).error());
    return *family;
  }
  if (session.transaction) return &*session.transaction;
  return &session.store;
}

void FamilyRef::settle(Session& session) {
  bound_.reset();
  if (is_default() || family_ || dropped) return;
  auto family = session.store.open_column_family(name_);
  if (family) family_ = *std::move(family);
}

void FamilyRef::rebind(Session& session) {
  family_.reset();
  settle(session);
}

// ---- Session ----

int Session::fail(const Error& error) {
  if (error.failed() && !(error == Errc::not_found)) {
    std::string text = error.message();
    const std::lock_guard lock(message_mutex_);
    message_ = std::move(text);
  }
  return code_of(error);
}

int Session::refuse(const char* operation, const char* why) {
  ++refusals;
  return fail(Error(Errc::invalid_argument, operation, why));
}

std::string Session::message() {
  const std::lock_guard lock(message_mutex_);
  return message_;
}

void Session::wrote() {
  if (commits_per_checkpoint == 0 || in_transaction()) return;
  if (++commits % commits_per_checkpoint != 0) return;
  // The write has succeeded, whatever becomes of this.
  (void)store.checkpoint(Checkpoint::passive);
}

void Session::suspend_iterators(bool all) {
  const std::lock_guard lock(children_mutex);
  for (KVIterator* iterator : iterators) {
    if (all || iterator->cursor.in_transaction()) iterator->cursor.suspend();
  }
}

void Session::end_transaction(bool rolled_back) {
  transaction.reset();
  snapshot.reset();
  const std::lock_guard lock(children_mutex);
  const auto settle = [&](FamilyRef& family) {
    if (family.dropped_in_transaction && rolled_back) family.dropped = false;
    family.dropped_in_transaction = false;
    family.settle(*this);
  };
  for (KVColumnFamily* family : families) settle(family->family);
  for (KVIterator* iterator : iterators) settle(iterator->cursor.family());
}

void Session::replace_store(Store opened) {
  store = std::move(opened);
  const std::lock_guard lock(children_mutex);
  for (KVColumnFamily* family : families) family->family.rebind(*this);
  for (KVIterator* iterator : iterators) iterator->cursor.family().rebind(*this);
}

}  // namespace snkv::c_api
