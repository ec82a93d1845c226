/// \file
/// What every file of the extension module needs: pybind11, the release of the interpreter's lock,
/// and bytes as Python programs pass them.
#pragma once

#include <pybind11/pybind11.h>

#include <snkv/bytes.hpp>

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace snkv_python {

namespace py = pybind11;

/// While it lives, other Python threads may run, and nothing of Python may be touched.
class WithoutGil {
 public:
  WithoutGil() noexcept : state_(PyEval_SaveThread()) {}
  WithoutGil(const WithoutGil&) = delete;
  WithoutGil& operator=(const WithoutGil&) = delete;
  ~WithoutGil() { PyEval_RestoreThread(state_); }

 private:
  PyThreadState* state_;
};

/// A key, a value or a prefix: `str` (as UTF-8), `bytes`, or anything that has a buffer. Raises
/// TypeError for everything else. Bytes of objects that never change are used where they lie, for
/// as long as the caller keeps the object; others are copied, because another thread might change
/// them.
class BytesArgument {
 public:
  explicit BytesArgument(py::handle object);
  BytesArgument(const BytesArgument&) = delete;
  BytesArgument& operator=(const BytesArgument&) = delete;

  [[nodiscard]] snkv::BytesView view() const noexcept { return view_; }

 private:
  snkv::BytesView view_;
  std::string copy_;
};

/// A path: `str`, `bytes` or `os.PathLike`, in the file system's encoding.
[[nodiscard]] std::string path_argument(py::handle object);

/// Seconds as milliseconds, rounded up; nothing for None. ValueError (`snkv.InvalidArgumentError`)
/// unless it is a finite number that fits.
[[nodiscard]] std::optional<std::chrono::milliseconds> ttl_argument(py::handle seconds);

[[nodiscard]] inline py::bytes to_bytes(snkv::BytesView view) {
  return py::bytes(reinterpret_cast<const char*>(view.data()), view.size());
}

/// Names and the like: `bytes` is refused.
[[nodiscard]] std::string text_argument(py::handle object, const char* what);

/// Whether a name of a family is one that SNKV keeps for itself: refused, and in no list, as in the C
/// interface.
[[nodiscard]] inline bool is_reserved(std::string_view name) noexcept {
  return name.starts_with("__") || name.starts_with("_snkv_");
}

/// The name of a column family, which is also that of a collection. `InvalidArgumentError` for one that is
/// reserved.
[[nodiscard]] std::string family_argument(py::handle object, const char* operation);

}  // namespace snkv_python
