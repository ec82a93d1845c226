/// \file
/// The functions of core_abi.hpp that read databases of SNKV's C library.
#include "core/original.hpp"

#include "base/printable.hpp"

#include <fmt/format.h>

#include <limits>
#include <new>
#include <string_view>
#include <utility>

namespace snkv::core {
namespace {

/// Families that the library keeps for itself begin with this.
constexpr std::string_view hidden = "__";
constexpr std::string_view expiries_of = "__snkv_ttl_k__";
constexpr std::string_view expiry_families = "__snkv_ttl_";

/// Runs `body`, which returns an `Error`. No exception gets out.
template <class Body>
Error without_exceptions(const char* operation, Body&& body) noexcept {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return Error(Errc::no_memory, operation, "");
  } catch (...) {
    return Error(Errc::internal, operation, "");
  }
}

}  // namespace

// ---- OriginalScan ----

OriginalScan::OriginalScan(std::shared_ptr<const Original> original, std::uint32_t root,
                           std::uint32_t expiries_root, bool sealed)
    : original_(std::move(original)),
      entries_(original_->file, root, OriginalTree::Kind::index),
      sealed_(sealed) {
  if (expiries_root != 0) {
    expiries_.emplace(original_->file, expiries_root, OriginalTree::Kind::index);
  }
}

std::uint64_t OriginalScan::pages_read() const noexcept {
  return entries_.pages_read() + (expiries_ ? expiries_->pages_read() : 0);
}

Error OriginalScan::next_cell(const char* operation, OriginalTree& tree, std::string& last_key,
                              OriginalEntry& entry, bool& found) const {
  if (Error error = tree.next(operation, found); error.failed() || !found) return error;
  if (!entry.parse(tree.payload())) {
    return original_->file.corrupt(operation,
                                   "an entry is damaged, behind " + base::printable(last_key));
  }
  if (!last_key.empty() && entry.key <= BytesView(last_key)) {
    return original_->file.corrupt(operation, fmt::format("the key {} is not in order",
                                                          base::printable(entry.key)));
  }
  last_key.assign(entry.key.view());
  return {};
}

Error OriginalScan::find_expiry(const char* operation) {
  while (expiries_ && (!expiry_pending_ || BytesView(expiring_key_) < key)) {
    OriginalEntry entry;
    bool found = false;
    if (Error error = next_cell(operation, *expiries_, expiring_key_, entry, found); error.failed()) {
      return error;
    }
    if (!found) {
      expiries_.reset();
      expiry_pending_ = false;
      return {};
    }
    if (entry.value.size() != sizeof(std::uint64_t)) {
      return original_->file.corrupt(operation,
                                     "the expiry of " + base::printable(entry.key) + " is damaged");
    }
    std::uint64_t at = 0;
    for (const std::byte byte : entry.value.span()) at = at << 8 | std::to_integer<std::uint64_t>(byte);
    if (at > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
      return original_->file.corrupt(
          operation, "the expiry of " + base::printable(entry.key) + " is out of its range");
    }
    expiring_at_ = static_cast<std::int64_t>(at);
    expiry_pending_ = true;
  }
  if (expiry_pending_ && BytesView(expiring_key_) == key && expiring_at_ > 0) {
    expires_at = expiring_at_;
  }
  return {};
}

Error OriginalScan::next(const char* operation) {
  valid = false;
  expires_at.reset();
  OriginalEntry entry;
  bool found = false;
  if (Error error = next_cell(operation, entries_, last_key_, entry, found); error.failed() || !found) {
    return error;
  }
  key = entry.key;
  value = entry.value;
  if (sealed_) {
    if (!original_->cipher.open(entry.value, opened_)) {
      return Error(Errc::tampered, operation,
                   fmt::format("{}: the value of {}", original_->file.path(), base::printable(key)));
    }
    value = opened_;
  }
  if (Error error = find_expiry(operation); error.failed()) return error;
  valid = true;
  return {};
}

// ---- The door ----

Error open_original(std::string_view path, BytesView password,
                    std::shared_ptr<const Original>& out) {
  constexpr const char* operation = "open_original";
  return without_exceptions(operation, [&]() -> Error {
    auto original = std::make_shared<Original>();
    Error error = original->file.open(operation, std::string(path));
    if (!error.failed()) error = original->cipher.unlock(operation, original->file, password);
    if (!error.failed()) out = std::move(original);
    return error;
  });
}

bool original_is_encrypted(const Original& original) noexcept {
  return original.cipher.encrypted();
}

std::vector<std::string> original_families(const Original& original) {
  std::vector<std::string> names;
  for (const OriginalFile::Family& family : original.file.families()) {
    if (!family.name.starts_with(hidden)) names.push_back(family.name);
  }
  return names;
}

Error open_original_cursor(const std::shared_ptr<const Original>& original, std::string_view family,
                           OriginalCursor*& out) {
  constexpr const char* operation = "scan";
  return without_exceptions(operation, [&]() -> Error {
    const std::uint32_t root = original->file.root_of(family);
    if (root == 0) return Error(Errc::not_found, operation, base::printable(family));
    const std::uint32_t expiries = original->file.root_of(std::string(expiries_of) + std::string(family));
    const bool sealed = original->cipher.encrypted() && family != OriginalCipher::family &&
                        !family.starts_with(expiry_families);
    out = new OriginalScan(original, root, expiries, sealed);
    return {};
  });
}

Error original_next(OriginalCursor& cursor) {
  constexpr const char* operation = "next";
  return without_exceptions(operation,
                            [&] { return static_cast<OriginalScan&>(cursor).next(operation); });
}

void close_original_cursor(OriginalCursor* cursor) noexcept {
  delete static_cast<OriginalScan*>(cursor);
}

}  // namespace snkv::core
