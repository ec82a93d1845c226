/// \file
/// Calls on the store itself, outside of all transactions.
#pragma once

#include "progress.hpp"
#include "session.hpp"

#include <utility>

namespace snkv_python {

/// Runs `body(store)` without the interpreter's lock.
template <class Body>
auto on_store(Session& session, Body body) {
  auto result = [&] {
    const WithoutGil released;
    return body(session.store());
  }();
  return session.value_of(std::move(result));
}

/// The same for `body(store, progress)`.
template <class Body>
auto with_progress(Session& session, py::object function, Body body) {
  ProgressBridge bridge(std::move(function));
  auto result = [&] {
    const WithoutGil released;
    return body(session.store(), bridge.callback());
  }();
  bridge.rethrow();
  return session.value_of(std::move(result));
}

}  // namespace snkv_python
