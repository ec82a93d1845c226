#include "opening.hpp"

#include "calls.hpp"

#include <algorithm>
#include <bit>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <system_error>
#include <utility>

namespace snkv_python {

using snkv::Errc;
using snkv::Error;
using snkv::Result;
using snkv::Secret;
using snkv::Store;
using snkv::Unexpected;

namespace {

constexpr std::uint32_t smallest_page = 4096;
constexpr std::uint32_t default_cache_pages = 2000;

[[noreturn]] void refuse(const char* why) { raise(Error(Errc::invalid_argument, "open", why)); }

/// The options of `KVStore`, with the names and numbers that SNKV has given them.
snkv::Options options_of(const py::dict& config) {
  const auto number = [&](const char* name) {
    const py::object value = config[name];
    if (PyLong_Check(value.ptr()) == 0) throw py::type_error(std::string(name) + " is an int");
    const std::int64_t out = py::cast<std::int64_t>(value);
    if (out < 0) refuse("a number of the configuration is negative");
    return out;
  };
  snkv::Options out;
  switch (number("journal_mode")) {
    case 0:
      out.journal = snkv::Journal::rollback;
      break;
    case 1:
      out.journal = snkv::Journal::wal;
      break;
    default:
      refuse("there is no such journal_mode");
  }
  switch (number("sync_level")) {
    case 0:
      out.sync = snkv::Sync::off;
      break;
    case 1:
      out.sync = snkv::Sync::normal;
      break;
    case 2:
      out.sync = snkv::Sync::full;
      break;
    default:
      refuse("there is no such sync_level");
  }
  // SNKV takes 512 to 65536; the smallest pages here are larger.
  const std::int64_t page_size = number("page_size");
  if (page_size != 0 && (page_size < 512 || page_size > 65536 ||
                         !std::has_single_bit(static_cast<std::uint64_t>(page_size)))) {
    refuse("page_size is no power of two from 512 to 65536");
  }
  out.page_size = std::max(static_cast<std::uint32_t>(page_size), smallest_page);
  const std::int64_t cache_pages = number("cache_size");
  if (cache_pages > 1 << 30) refuse("cache_size is too large");
  out.cache_size = out.page_size *
                   static_cast<std::size_t>(cache_pages == 0 ? default_cache_pages : cache_pages);
  out.busy_timeout = std::chrono::milliseconds(number("busy_timeout"));
  const std::int64_t frames = number("wal_size_limit");
  if (frames > 1 << 30) refuse("wal_size_limit is too large");
  out.wal_autocheckpoint = static_cast<std::uint32_t>(frames);
  out.read_only = py::cast<bool>(py::bool_(config["read_only"]));
  out.allow_hard_links = py::cast<bool>(py::bool_(config["allow_hard_links"]));
  return out;
}

/// Whether the path of a store means none: it is in memory.
bool in_memory(py::handle path) {
  if (path.is_none()) return true;
  const bool is_text = PyUnicode_Check(path.ptr()) != 0 || PyBytes_Check(path.ptr()) != 0;
  return is_text && path_argument(path) == ":memory:";
}

/// A password. What can be wiped by the caller is not copied anywhere else.
Secret secret_argument(py::handle object) {
  PyObject* const pointer = object.ptr();
  if (PyBytes_Check(pointer) || PyUnicode_Check(pointer)) {
    return Secret::password(BytesArgument(object).view());
  }
  Py_buffer buffer;
  if (PyObject_CheckBuffer(pointer) == 0) {
    throw py::type_error("a password is str, bytes, bytearray or memoryview");
  }
  if (PyObject_GetBuffer(pointer, &buffer, PyBUF_SIMPLE) != 0) throw py::error_already_set();
  Secret secret = Secret::password(
      {static_cast<const char*>(buffer.buf), static_cast<std::size_t>(buffer.len)});
  PyBuffer_Release(&buffer);
  return secret;
}

/// Encrypts the store first if it is not, as SNKV does.
Result<Store> encrypted_store(const Protection& how, const snkv::Progress& progress) {
  // What cannot be told about the file is told by opening it. A secret that is none changes no
  // file.
  const auto encrypted = Store::is_encrypted(how.path);
  if (encrypted && !*encrypted && !how.options.read_only) {
    if (auto made = Store::encrypt_existing(how.path, how.secret, progress); !made) {
      return Unexpected(std::move(made).error());
    }
  }
  return Store::open_encrypted(how.path, how.secret, how.options);
}

/// How the store was opened, for calls that change that; without the interpreter's lock.
template <class Body>
Result<void> with_protection(Session& session, const char* operation, Body body) {
  if (session.is_closed()) return Unexpected(Error(Errc::closed, operation, "the store is closed"));
  Protection* const how = session.protection();
  if (how == nullptr) {
    return Unexpected(Error(Errc::invalid_argument, operation, "the store is not encrypted"));
  }
  if (session.of_this_thread() != nullptr) {
    return Unexpected(Error(Errc::locked, operation, "this thread has a transaction open"));
  }
  if (how->options.read_only) {
    return Unexpected(Error(Errc::read_only, operation, "the store was opened for reading"));
  }
  const std::lock_guard lock(how->mutex);
  return body(*how);
}

}  // namespace

std::shared_ptr<Session> open(py::handle path, const py::dict& config) {
  const snkv::Options options = options_of(config);
  std::string encoded;
  const bool without_file = in_memory(path);
  if (!without_file) encoded = path_argument(path);
  auto opened = [&] {
    const WithoutGil released;
    return without_file ? Store::open_in_memory(options) : Store::open(encoded, options);
  }();
  return Session::make(value_of(std::move(opened)));
}

std::shared_ptr<Session> open_encrypted(py::handle path, py::handle password,
                                        const py::dict& config, py::object progress) {
  const snkv::Options options = options_of(config);
  if (in_memory(path)) refuse("a store in memory is not encrypted: it is in no file");
  std::string encoded = path_argument(path);
  auto how = std::make_unique<Protection>(encoded, options, secret_argument(password));
  ProgressBridge bridge(std::move(progress));
  auto opened = [&]() -> Result<Store> {
    const WithoutGil released;
    // For later: the program may go to another folder.
    std::error_code unknown;
    if (!encoded.empty()) how->path = std::filesystem::absolute(encoded, unknown).string();
    if (unknown) return Unexpected(Error(Errc::cant_open, "open", encoded));
    auto store = encrypted_store(*how, bridge.callback());
    // Links may point elsewhere by then, too.
    if (store) how->path = store->file();
    return store;
  }();
  bridge.rethrow();
  return Session::make(value_of(std::move(opened)), std::move(how));
}

void restore(py::handle backup, py::handle path, py::object progress) {
  for (const py::handle each : {backup, path}) {
    if (!each.is_none() && in_memory(each)) {
      raise(Error(Errc::invalid_argument, "restore", "a store in memory is in no file"));
    }
  }
  const std::string from = path_argument(backup);
  const std::string to = path_argument(path);
  ProgressBridge bridge(std::move(progress));
  auto restored = [&] {
    const WithoutGil released;
    return Store::restore(from, to, bridge.callback());
  }();
  bridge.rethrow();
  value_of(std::move(restored));
}

bool is_encrypted(Session& self) {
  if (self.is_closed()) self.fail(Error(Errc::closed, "is_encrypted", "the store is closed"));
  return self.protection() != nullptr;
}

void reencrypt(Session& self, py::handle password, py::object progress) {
  Secret next = secret_argument(password);
  if (next.size() == 0) {
    self.fail(Error(Errc::invalid_argument, "reencrypt", "the password is empty"));
  }
  with_progress(self, std::move(progress), [&](Store& store, const snkv::Progress& tell) {
    return with_protection(self, "reencrypt", [&](Protection& how) {
      // First the values: if that fails the old password still opens the store, and the new one
      // does not.
      auto result = store.rotate_key(how.secret, tell);
      if (result) result = store.change_password(how.secret, next);
      if (result) how.secret = std::move(next);
      return result;
    });
  });
}

void remove_encryption(Session& self, py::object progress) {
  with_progress(self, std::move(progress), [&](Store&, const snkv::Progress& tell) {
    return with_protection(self, "remove_encryption", [&](Protection& how) -> Result<void> {
      // Nobody may have the file open, not even this handle.
      if (auto closed = self.close(); !closed) return closed;
      return Store::remove_encryption(how.path, how.secret, tell);
    });
  });
}

std::shared_ptr<Session> reopen(Session& self) {
  std::unique_ptr<Protection> again;
  auto opened = [&]() -> Result<Store> {
    const WithoutGil released;
    Protection* const how = self.protection();
    const std::lock_guard lock(how->mutex);
    const auto encrypted = Store::is_encrypted(how->path);
    if (!encrypted) return Unexpected(encrypted.error());
    if (!*encrypted) return Store::open(how->path, how->options);
    again = std::make_unique<Protection>(how->path, how->options, std::move(how->secret));
    return Store::open_encrypted(again->path, again->secret, again->options);
  }();
  return Session::make(value_of(std::move(opened)), std::move(again));
}

}  // namespace snkv_python
