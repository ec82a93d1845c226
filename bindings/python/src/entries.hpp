/// \file
/// The operations on the entries of one column family, seen from one place: outside of
/// transactions, or from a transaction or snapshot.
#pragma once

#include "session.hpp"

#include <memory>
#include <optional>
#include <utility>

namespace snkv_python {

class IteratorHandle;

class Entries {
 public:
  /// Without a scope each call goes to the transaction that its thread has begun, if there is one.
  Entries(std::shared_ptr<Session> session, snkv::ColumnFamily family,
          std::shared_ptr<Scope> scope = {})
      : session_(std::move(session)), family_(std::move(family)), scope_(std::move(scope)) {}

  [[nodiscard]] const std::shared_ptr<Session>& session() const noexcept { return session_; }

  /// Runs `body(snkv::ColumnFamily&)` without the interpreter's lock, and gives the value of its
  /// result or raises its error.
  template <class Body>
  auto run(Body&& body) {
    auto result = [&] {
      const WithoutGil released;
      return dispatch(body);
    }();
    return session_->value_of(std::move(result));
  }

  // ---- Calls of Python programs ----

  py::object get(py::handle key, py::object fallback);
  py::bytes get_or_raise(py::handle key);
  bool contains(py::handle key);
  void put(py::handle key, py::handle value, py::handle ttl);
  void erase(py::handle key);
  std::unique_ptr<IteratorHandle> iterator(py::handle prefix, py::handle low, py::handle high,
                                           bool reverse, bool keys_only);

 private:
  /// Where a call goes, with the lock of the scope held if there is one.
  template <class Body>
  std::invoke_result_t<Body&, snkv::ColumnFamily&> dispatch(Body& body) {
    const std::shared_ptr<Scope> scope = scope_ ? scope_ : session_->of_this_thread();
    if (!scope) return body(family_);
    const std::lock_guard lock(scope->mutex);
    auto bound = scope->bind(family_);
    if (!bound) return snkv::Unexpected(std::move(bound).error());
    return body(*bound);
  }

  std::shared_ptr<Session> session_;
  snkv::ColumnFamily family_;
  std::shared_ptr<Scope> scope_;
};

void define_entries(py::module_& module);

}  // namespace snkv_python
