/// \file
/// The transaction of a handle.
#include "c_api/session.hpp"

namespace snkv::c_api {
namespace {

int begin(Session& session, bool for_writing) {
  if (session.transaction) return session.refuse("begin", "a transaction is open");
  if (!for_writing) {
    if (session.snapshot) return KVSTORE_OK;
    auto snapshot = session.store.snapshot();
    if (!snapshot) return session.fail(snapshot.error());
    session.snapshot = *std::move(snapshot);
    ++session.transaction_number;
    return KVSTORE_OK;
  }
  if (session.snapshot) session.end_transaction(false);
  if (session.rollback_journal) session.suspend_iterators(true);
  auto transaction = session.store.begin();
  if (!transaction) return session.fail(transaction.error());
  session.transaction = *std::move(transaction);
  ++session.transaction_number;
  return KVSTORE_OK;
}

int commit(Session& session) {
  if (!session.in_transaction()) return session.refuse("commit", "no transaction is open");
  if (session.snapshot) {
    session.end_transaction(false);
    return KVSTORE_OK;
  }
  session.suspend_iterators(false);
  auto result = session.transaction->commit();
  // Somebody reads what would have to be overwritten; it may be tried again.
  if (!result && result.error() == Errc::busy) return session.fail(result.error());
  session.end_transaction(!result);
  if (result) session.wrote();
  return session.done(result);
}

int rollback(Session& session) {
  if (!session.in_transaction()) return session.refuse("rollback", "no transaction is open");
  if (session.snapshot) {
    session.end_transaction(false);
    return KVSTORE_OK;
  }
  session.suspend_iterators(false);
  auto result = session.transaction->rollback();
  session.end_transaction(true);
  return session.done(result);
}

int make_durable(Session& session) {
  const bool again = session.transaction.has_value();
  if (again) {
    if (const int code = commit(session); code != KVSTORE_OK) return code;
  }
  const int code = session.done(session.store.sync());
  if (!again) return code;
  const int begun = begin(session, true);
  return code != KVSTORE_OK ? code : begun;
}

}  // namespace
}  // namespace snkv::c_api

using namespace snkv::c_api;

extern "C" {

int kvstore_begin(KVStore* store, int wrflag) {
  return with_session(store, Access::alone,
                      [&](Session& session) { return begin(session, wrflag != 0); });
}
int kvstore_commit(KVStore* store) { return with_session(store, Access::alone, commit); }
int kvstore_rollback(KVStore* store) { return with_session(store, Access::alone, rollback); }
int kvstore_sync(KVStore* store) { return with_session(store, Access::alone, make_durable); }

}
