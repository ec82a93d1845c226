#include "store.hpp"

#include "calls.hpp"
#include "entries.hpp"
#include "opening.hpp"

#include <pybind11/stl.h>

#include <string>
#include <utility>

namespace snkv_python {

using snkv::ColumnFamily;
using snkv::Errc;
using snkv::Error;
using snkv::Result;
using snkv::Unexpected;

namespace {

// ---- Where calls about families go ----

/// Runs `body(view)` on the transaction or snapshot that is open, else on the store, without the
/// interpreter's lock.
template <class Body>
auto run_on(Session& session, const std::shared_ptr<Scope>& own, Body body) {
  auto result = [&]() -> std::invoke_result_t<Body&, snkv::Store&> {
    const WithoutGil released;
    const auto scope = own ? own : session.of_this_thread();
    if (!scope) return body(session.store());
    const std::lock_guard lock(scope->mutex);
    if (auto* transaction = scope->transaction()) return body(*transaction);
    if (auto* snapshot = scope->snapshot()) return body(*snapshot);
    return Unexpected(Error(Errc::closed, "use", "the transaction or snapshot has ended"));
  }();
  return session.value_of(std::move(result));
}

Unexpected read_only(const char* operation) {
  return Unexpected(Error(Errc::read_only, operation, "the transaction was begun for reading"));
}

/// A family that was made or opened, for use from everywhere, or bound to `own`.
std::unique_ptr<Entries> entries_of(const std::shared_ptr<Session>& session,
                                    const std::shared_ptr<Scope>& own, ColumnFamily family) {
  auto unbound = session->value_of(session->store().column_family(family));
  return std::make_unique<Entries>(session, std::move(unbound), own);
}

std::unique_ptr<Entries> open_family(const std::shared_ptr<Session>& session,
                                     const std::shared_ptr<Scope>& own, py::handle name) {
  const std::string text = family_argument(name, "open_column_family");
  return entries_of(session, own, run_on(*session, own, [&](auto& view) -> Result<ColumnFamily> {
                      if constexpr (requires { view.open_column_family(text); }) {
                        return view.open_column_family(text);
                      } else {
                        return view.column_family(std::string_view(text));
                      }
                    }));
}

std::unique_ptr<Entries> create_family(const std::shared_ptr<Session>& session,
                                       const std::shared_ptr<Scope>& own, py::handle name) {
  const std::string text = family_argument(name, "create_column_family");
  return entries_of(session, own, run_on(*session, own, [&](auto& view) -> Result<ColumnFamily> {
                      if constexpr (requires { view.create_column_family(text); }) {
                        return view.create_column_family(text);
                      } else {
                        return read_only("create_column_family");
                      }
                    }));
}

std::unique_ptr<Entries> default_family(const std::shared_ptr<Session>& session,
                                        const std::shared_ptr<Scope>& own) {
  return std::make_unique<Entries>(session, session->store().default_column_family(), own);
}

void drop_family(Session& session, const std::shared_ptr<Scope>& own, py::handle name) {
  const std::string text = family_argument(name, "drop_column_family");
  run_on(session, own, [&](auto& view) -> Result<void> {
    if constexpr (requires { view.drop_column_family(text); }) {
      return view.drop_column_family(text);
    } else {
      return read_only("drop_column_family");
    }
  });
}

std::vector<std::string> list_families(Session& session, const std::shared_ptr<Scope>& own) {
  auto names = run_on(session, own, [](auto& view) { return view.list_column_families(); });
  // Those that programs have made, as in SNKV.
  std::erase_if(names, [](const std::string& name) { return name == "default" || is_reserved(name); });
  return names;
}

// ---- Transactions, snapshots, savepoints ----

/// A transaction or snapshot that is an object of its own.
struct ScopeHandle {
  std::shared_ptr<Session> session;
  std::shared_ptr<Scope> scope;

  ScopeHandle(std::shared_ptr<Session> of, std::shared_ptr<Scope> is)
      : session(std::move(of)), scope(std::move(is)) {}
  ScopeHandle(const ScopeHandle&) = delete;
  ScopeHandle& operator=(const ScopeHandle&) = delete;
  ~ScopeHandle() { end(); }

  void end() {
    const WithoutGil released;
    scope->end();
  }
};

template <class Open>
std::unique_ptr<ScopeHandle> open_scope(const std::shared_ptr<Session>& session, Open open) {
  auto result = [&] {
    const WithoutGil released;
    return session->admit([&] { return Scope::of(open(session->store())); });
  }();
  return std::make_unique<ScopeHandle>(session, session->value_of(std::move(result)));
}

void end_scope(ScopeHandle& self, Result<void> (Scope::*how)()) {
  auto result = [&] {
    const WithoutGil released;
    const std::lock_guard lock(self.scope->mutex);
    return ((*self.scope).*how)();
  }();
  self.session->value_of(std::move(result));
}

struct SavepointHandle {
  std::shared_ptr<Session> session;
  std::shared_ptr<Scope> scope;
  std::weak_ptr<snkv::Savepoint> savepoint;
};

std::unique_ptr<SavepointHandle> make_savepoint(const std::shared_ptr<Session>& session,
                                                const std::shared_ptr<Scope>& own) {
  auto result = [&]() -> Result<SavepointHandle> {
    const WithoutGil released;
    auto found = own ? Result<std::shared_ptr<Scope>>(own) : session->must_be_in("savepoint");
    if (!found) return Unexpected(std::move(found).error());
    const std::shared_ptr<Scope>& scope = *found;
    const std::lock_guard lock(scope->mutex);
    if (scope->transaction() == nullptr) return Unexpected(scope->no_transaction("savepoint"));
    auto made = scope->transaction()->savepoint();
    if (!made) return Unexpected(std::move(made).error());
    scope->savepoints.push_back(std::make_shared<snkv::Savepoint>(std::move(*made)));
    return SavepointHandle{session, scope, scope->savepoints.back()};
  }();
  return std::make_unique<SavepointHandle>(session->value_of(std::move(result)));
}

/// `keep`: it can be used again afterwards.
template <class Body>
void with_savepoint(SavepointHandle& self, const char* operation, Body body) {
  auto result = [&]() -> Result<void> {
    const WithoutGil released;
    const std::lock_guard lock(self.scope->mutex);
    const auto savepoint = self.savepoint.lock();
    if (!savepoint) return Unexpected(Error(Errc::closed, operation, "the savepoint has ended"));
    return body(*savepoint, savepoint);
  }();
  self.session->value_of(std::move(result));
}

void release(SavepointHandle& self) {
  with_savepoint(self, "release",
                 [&](snkv::Savepoint& savepoint, const std::shared_ptr<snkv::Savepoint>& owned) {
                   auto result = savepoint.release();
                   if (result) std::erase(self.scope->savepoints, owned);
                   return result;
                 });
}

// ---- Maintenance ----

py::tuple checkpoint(Session& self, int mode) {
  if (mode < 0 || mode > 3) {
    self.fail(Error(Errc::invalid_argument, "checkpoint", "there is no such mode"));
  }
  const auto done = on_store(self, [&](snkv::Store& store) {
    return store.checkpoint(static_cast<snkv::Checkpoint>(mode));
  });
  return py::make_tuple(done.wal_frames, done.checkpointed);
}

py::dict stats(Session& self) {
  const snkv::Stats now = on_store(self, [](snkv::Store& store) { return store.stats(); });
  const std::uint64_t other_gets = self.other_gets;
  py::dict out;
  out["puts"] = now.puts;
  out["gets"] = now.gets - std::min(now.gets, other_gets);
  out["deletes"] = now.deletes;
  out["iterations"] = now.iterations;
  out["errors"] = now.errors;
  out["bytes_read"] = now.bytes_read;
  out["bytes_written"] = now.bytes_written;
  out["wal_commits"] = now.wal_commits;
  out["checkpoints"] = now.checkpoints;
  out["ttl_expired"] = now.ttl_expired;
  out["ttl_purged"] = now.ttl_purged;
  out["db_pages"] = now.db_pages;
  return out;
}

void reset_stats(Session& self) {
  self.other_gets = 0;
  on_store(self, [](snkv::Store& store) { return store.reset_stats(); });
}

py::dict space(Session& self) {
  const auto report = on_store(self, [](snkv::Store& store) { return store.space(); });
  py::dict out;
  out["file_bytes"] = report.file_bytes;
  out["live_bytes"] = report.live_bytes;
  out["free_bytes"] = report.free_bytes;
  out["wal_bytes"] = report.wal_bytes;
  return out;
}

py::dict verify(Session& self, py::object progress) {
  const auto report =
      with_progress(self, std::move(progress),
                    [](snkv::Store& store, const auto& tell) { return store.verify(tell); });
  py::dict out;
  out["entries"] = report.entries;
  out["large_values"] = report.large_values;
  out["bytes"] = report.bytes;
  out["families"] = report.families;
  return out;
}

void backup(Session& self, py::handle path, bool compact, py::object progress) {
  const std::string encoded = path_argument(path);
  with_progress(self, std::move(progress), [&](snkv::Store& store, const auto& tell) {
    return store.backup(encoded, {.compact = compact}, tell);
  });
}

void define_scopes(py::module_& module) {
  py::class_<SavepointHandle>(module, "Savepoint")
      .def("rollback",
           [](SavepointHandle& self) {
             with_savepoint(self, "rollback", [](snkv::Savepoint& savepoint, const auto&) {
               return savepoint.rollback();
             });
           })
      .def("release", &release);
  py::class_<ScopeHandle>(module, "Scope")
      .def("commit", [](ScopeHandle& self) { end_scope(self, &Scope::commit); })
      .def("rollback", [](ScopeHandle& self) { end_scope(self, &Scope::rollback); })
      .def("end", &ScopeHandle::end)
      .def("is_open",
           [](ScopeHandle& self) {
             const WithoutGil released;
             const std::lock_guard lock(self.scope->mutex);
             return self.scope->is_open();
           })
      .def("savepoint", [](ScopeHandle& self) { return make_savepoint(self.session, self.scope); })
      .def("default_family",
           [](ScopeHandle& self) { return default_family(self.session, self.scope); })
      .def("open_family",
           [](ScopeHandle& self, py::handle name) {
             return open_family(self.session, self.scope, name);
           })
      .def("create_family",
           [](ScopeHandle& self, py::handle name) {
             return create_family(self.session, self.scope, name);
           })
      .def("drop_family",
           [](ScopeHandle& self, py::handle name) { drop_family(*self.session, self.scope, name); })
      .def("list_families",
           [](ScopeHandle& self) { return list_families(*self.session, self.scope); });
}

}  // namespace

void define_store(py::module_& module) {
  define_scopes(module);
  const std::shared_ptr<Scope> none;
  py::class_<Session, std::shared_ptr<Session>>(module, "Store")
      .def_static("open", &open)
      .def_static("open_encrypted", &open_encrypted)
      .def_static("restore", &restore)
      .def("is_encrypted", &is_encrypted)
      .def("reencrypt", &reencrypt)
      .def("remove_encryption", &remove_encryption)
      .def("reopen", &reopen)
      .def("close",
           [](Session& self) { on_store(self, [&](snkv::Store&) { return self.close(); }); })
      .def("is_closed", &Session::is_closed)
      // Bytes: names of files need not be UTF-8.
      .def("path", [](Session& self) { return to_bytes(self.store().path()); })
      .def("file", [](Session& self) { return to_bytes(self.store().file()); })
      .def("last_message", &Session::last_message)
      .def("default_family",
           [none](const std::shared_ptr<Session>& self) { return default_family(self, none); })
      .def("open_family", [none](const std::shared_ptr<Session>& self,
                                 py::handle name) { return open_family(self, none, name); })
      .def("create_family", [none](const std::shared_ptr<Session>& self,
                                   py::handle name) { return create_family(self, none, name); })
      .def("drop_family", [none](Session& self, py::handle name) { drop_family(self, none, name); })
      .def("list_families", [none](Session& self) { return list_families(self, none); })
      .def("begin",
           [](Session& self, bool for_writing) {
             on_store(self, [&](snkv::Store&) { return self.begin(for_writing); });
           })
      .def("commit",
           [](Session& self) { on_store(self, [&](snkv::Store&) { return self.commit(); }); })
      .def("rollback",
           [](Session& self) { on_store(self, [&](snkv::Store&) { return self.rollback(); }); })
      .def("savepoint",
           [none](const std::shared_ptr<Session>& self) { return make_savepoint(self, none); })
      .def("transaction",
           [](const std::shared_ptr<Session>& self) {
             return open_scope(self, [](snkv::Store& store) { return store.begin(); });
           })
      .def("snapshot",
           [](const std::shared_ptr<Session>& self) {
             return open_scope(self, [](snkv::Store& store) { return store.snapshot(); });
           })
      .def("sync",
           [](Session& self) { on_store(self, [](snkv::Store& store) { return store.sync(); }); })
      .def("vacuum",
           [](Session& self, std::uint32_t pages) {
             return on_store(self, [&](snkv::Store& store) { return store.vacuum(pages); });
           })
      .def("integrity_check",
           [](Session& self) {
             on_store(self, [](snkv::Store& store) { return store.integrity_check(); });
           })
      .def("checkpoint", &checkpoint)
      .def("stats", &stats)
      .def("stats_reset", &reset_stats)
      .def("space", &space)
      .def("verify", &verify)
      .def("backup", &backup)
      .def("compact",
           [](Session& self, py::object progress) {
             with_progress(self, std::move(progress), [](snkv::Store& store, const auto& tell) {
               return store.compact(tell);
             });
           })
      .def("purge_all_expired", [](Session& self, std::uint64_t limit) {
        return on_store(self, [&](snkv::Store& store) { return store.purge_all_expired(limit); });
      });
}

}  // namespace snkv_python
