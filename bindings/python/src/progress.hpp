/// \file
/// The progress of long calls, told to a Python function.
#pragma once

#include "python.hpp"

#include <snkv/options.hpp>

#include <cstdint>
#include <exception>
#include <utility>

namespace snkv_python {

/// Hands progress on to a Python function of (done, total), if there is one. The call goes on
/// unless the function returns False. What it raises, and Ctrl-C, stops the call and is raised from
/// it.
class ProgressBridge {
 public:
  explicit ProgressBridge(py::object function) : function_(std::move(function)) {
    if (!function_.is_none() && PyCallable_Check(function_.ptr()) == 0) {
      throw py::type_error("progress is a function of two numbers");
    }
  }

  /// For the library, which calls it without the interpreter's lock. Lives as long as this.
  [[nodiscard]] snkv::Progress callback() {
    return [this](std::uint64_t done, std::uint64_t total) { return tell(done, total); };
  }

  /// To be called afterwards: raises what has stopped the call.
  void rethrow() {
    if (raised_) std::rethrow_exception(std::exchange(raised_, nullptr));
  }

 private:
  bool tell(std::uint64_t done, std::uint64_t total) {
    const py::gil_scoped_acquire acquired;
    if (raised_) return false;
    try {
      if (PyErr_CheckSignals() != 0) throw py::error_already_set();
      return function_.is_none() || !function_(done, total).is(py::bool_(false));
    } catch (...) {
      raised_ = std::current_exception();
      return false;
    }
  }

  py::object function_;
  std::exception_ptr raised_;
};

}  // namespace snkv_python
