/// \file
/// Opening stores, with a password or without, and what changes how they are opened.
#pragma once

#include "session.hpp"

#include <memory>

namespace snkv_python {

/// `config` has the options of `KVStore`. In memory if the path is None.
[[nodiscard]] std::shared_ptr<Session> open(py::handle path, const py::dict& config);

/// Makes a store that is not there; encrypts one that is not encrypted, of which `progress` tells.
[[nodiscard]] std::shared_ptr<Session> open_encrypted(py::handle path, py::handle password,
                                                      const py::dict& config, py::object progress);

/// Puts a backup in the place of a store that nobody has open.
void restore(py::handle backup, py::handle path, py::object progress);

[[nodiscard]] bool is_encrypted(Session& self);
void reencrypt(Session& self, py::handle password, py::object progress);
/// Closes the session; `reopen` gives the one that takes its place, also after a failure.
void remove_encryption(Session& self, py::object progress);
[[nodiscard]] std::shared_ptr<Session> reopen(Session& self);

}  // namespace snkv_python
