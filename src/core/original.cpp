/// \file
/// The functions of core_abi.hpp that read databases of SNKV's C library.
#include "core/original.hpp"

#include "base/printable.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <new>
#include <string_view>
#include <utility>

namespace snkv::core {
namespace {

constexpr std::string_view expiries_of = "__snkv_ttl_k__";
constexpr std::string_view expiry_families = "__snkv_ttl_";

/// What names of families begin with that the library keeps for itself, or did once.
constexpr std::array<std::string_view, 3> reserved = {"__", "_snkv_", "_vs_"};

/// A way to name the families of vectors: what all names begin and end with. What is between them for the
/// vectors themselves, for the metadata, the configuration and the two maps of labels is the same in all.
struct Layout {
  std::string_view prefix;
  std::string_view suffix;

  [[nodiscard]] std::string name(std::string_view part) const {
    std::string out(prefix);
    if (!part.empty()) out += fmt::format("_{}", part);
    return out += suffix;
  }
};

/// The youngest first: that of version 0.8, that of 0.7.3, and that of the Python package.
constexpr std::array<Layout, 3> layouts = {
    {{"__snkv_vec", "__"}, {"_snkv_vec", "_"}, {"_vs_vec", ""}}};
constexpr std::array<std::string_view, 5> parts_of_vectors = {"", "tags", "meta", "idk", "idi"};

/// Whether vectors are there in this layout. The younger names are the library's alone. A family that has one
/// of the others may be a program's own, if nothing that belongs to vectors is beside it.
bool is_used(const OriginalFile& file, const Layout& layout) {
  if (file.root_of(layout.name("")) == 0) return false;
  if (layout.prefix.starts_with("__")) return true;
  return std::any_of(parts_of_vectors.begin() + 1, parts_of_vectors.end(),
                     [&](std::string_view part) { return file.root_of(layout.name(part)) != 0; });
}

/// Whether the family is a part of something that is taken over in another form.
bool is_hidden(const OriginalFile& file, std::string_view name) {
  if (name == OriginalCipher::family || name.starts_with(expiry_families)) return true;
  for (const Layout& layout : layouts) {
    const bool own = std::any_of(parts_of_vectors.begin(), parts_of_vectors.end(),
                                 [&](std::string_view part) { return name == layout.name(part); });
    // Without vectors the others are of no use, to the library neither.
    if (own) return layout.prefix.starts_with("__") || is_used(file, layout);
  }
  return false;
}

bool is_reserved(std::string_view name) noexcept {
  return std::any_of(reserved.begin(), reserved.end(),
                     [&](std::string_view prefix) { return name.starts_with(prefix); });
}

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
    if (!is_hidden(original.file, family.name)) names.push_back(family.name);
  }
  return names;
}

std::vector<std::string> original_unknown_families(const Original& original) {
  std::vector<std::string> names = original_families(original);
  std::erase_if(names, [](const std::string& name) { return !is_reserved(name); });
  return names;
}

std::vector<OriginalVectors> original_vectors(const Original& original) {
  std::vector<OriginalVectors> found;
  for (const Layout& layout : layouts) {
    if (!is_used(original.file, layout)) continue;
    found.push_back({layout.name(""), layout.name("tags"), layout.name("meta")});
  }
  return found;
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
