/// \file
/// `WriteBatch`: its encoding (see the grammar in write_batch.hpp) and its carrying out.
#include "base/printable.hpp"
#include "core/batch_reader.hpp"
#include "core/families.hpp"
#include "core/overlay.hpp"
#include "core/read_path.hpp"
#include "core/run.hpp"
#include "core/write_path.hpp"

#include <snkv/detail/core_abi.hpp>
#include <snkv/write_batch.hpp>

#include <algorithm>
#include <cstring>
#include <fmt/format.h>
#include <limits>
#include <memory>
#include <vector>

namespace snkv {
namespace {

void append_number(std::string& out, std::uint64_t value, unsigned bytes) {
  for (unsigned i = 0; i < bytes; ++i) out += static_cast<char>(value >> (8 * i));
}

void append_string(std::string& out, BytesView bytes) {
  append_number(out, bytes.size(), 4);
  out += bytes.view();
}

}  // namespace

WriteBatch& WriteBatch::put(BytesView key, BytesView value, const PutOptions& options) {
  data_ += options.ttl ? 'T' : options.expires_at ? 'X' : 'P';
  append_string(data_, key);
  append_string(data_, value);
  if (options.ttl) {
    // Both kinds of expiry: refused with the others that are not allowed, as `put` does.
    const std::int64_t ttl = options.expires_at ? -1 : options.ttl->count();
    append_number(data_, static_cast<std::uint64_t>(ttl), 8);
  } else if (options.expires_at) {
    append_number(data_, static_cast<std::uint64_t>(options.expires_at->time_since_epoch().count()),
                  8);
  }
  return *this;
}

WriteBatch& WriteBatch::erase(BytesView key) {
  data_ += 'D';
  append_string(data_, key);
  return *this;
}

WriteBatch& WriteBatch::erase_range(BytesView low, BytesView high) {
  data_ += 'R';
  append_string(data_, low);
  append_string(data_, high);
  return *this;
}

WriteBatch& WriteBatch::clear_family() {
  data_ += 'C';
  return *this;
}

WriteBatch& WriteBatch::in_family(std::string_view name) {
  data_ += 'F';
  append_string(data_, name);
  return *this;
}

namespace core {

Error error_malformed_batch() {
  return Error(Errc::invalid_argument, "write", "the batch is malformed");
}

Error check_batch(BytesView batch) {
  constexpr const char* operation = "write";
  BatchReader reader(batch);
  BatchStep step;
  while (!reader.at_end()) {
    if (!reader.next(step)) return error_malformed_batch();
    if (step.tag == 'F' || step.tag == 'C') continue;
    if (step.tag == 'R') {
      if (step.first > step.second) {
        return Error(Errc::invalid_argument, operation, "low is larger than high");
      }
      continue;
    }
    if (Error error = check_key(operation, step.first); error.failed()) return error;
    if (step.second.size() > max_value_size) {
      return Error(Errc::too_large, operation, base::printable(step.first));
    }
    if ((step.tag == 'T' && step.number <= 0) || (step.tag == 'X' && step.number < 0)) {
      return Error(Errc::invalid_argument, operation,
                   fmt::format("the expiry of {} is not allowed", base::printable(step.first)));
    }
  }
  return {};
}

namespace {

constexpr const char* operation = "write";

/// What can be refused only now that the time of the transaction is known. Before anything is changed:
/// a transaction that a bad batch is written to goes on.
Error check_ttl(const BatchStep& step, std::int64_t now) {
  if (step.tag != 'T' || step.number <= std::numeric_limits<std::int64_t>::max() - now) return {};
  return Error(Errc::invalid_argument, operation, "the ttl is too long");
}

Error carry_out(const BatchStep& step, const WriteContext& context) {
  bool existed = false;
  std::uint64_t erased = 0;
  NewEntry entry{step.first, step.second, {}};
  switch (step.tag) {
    case 'T':
      entry.expires_at = context.session.now() + step.number;
      return put_entry(context, entry);
    case 'X':
      entry.expires_at = step.number;
      return put_entry(context, entry);
    case 'P':
      return put_entry(context, entry);
    case 'D':
      return erase_entry(context, step.first, existed);
    case 'R':
      return erase_entries(context, {Bytes(step.first), Bytes(step.second), true}, erased);
    default:
      return clear_family(context);
  }
}

/// Calls `use` with each operation and its family (a shared pointer); `not_found` if one of the families is
/// not there.
template <class Use>
Error for_each(WriteSession& session, const Target& target, BytesView batch, Use&& use) {
  std::shared_ptr<const Family> family = target.family;
  BatchReader reader(batch);
  BatchStep step;
  while (!reader.at_end()) {
    if (!reader.next(step)) return error_malformed_batch();
    if (step.tag != 'F') {
      if (Error error = use(step, family); error.failed()) return error;
      continue;
    }
    const bool nameless = step.first.empty() || is_internal_family(step.first.view());
    const FamilyEntry* named = nameless ? nullptr : session.catalog().find(step.first.view());
    if (named == nullptr && !step.first.empty()) {
      return Error(Errc::not_found, operation,
                   fmt::format("column family {}", base::printable(step.first)));
    }
    if (named != nullptr) {
      if (Error error = check_name(operation, *named); error.failed()) return error;
    }
    family = named == nullptr ? target.family : named->family;
  }
  return {};
}

/// Carries out operations, those on single keys in the order of their keys: neighbours lie on the same
/// page, which is then sought, changed and, if there are too many of them to be kept, written out only
/// once. Operations on the same key stay in their order, and so does all that concerns more than one key.
class InKeyOrder {
 public:
  explicit InKeyOrder(WriteSession& session) noexcept
      : session_(session), sorting_(!session.noting() && !snkv_bt_without("sort")) {}

  [[nodiscard]] Error add(const BatchStep& step, const std::shared_ptr<const Family>& family) {
    const bool single = step.tag != 'R' && step.tag != 'C';
    if (family != family_ || !single) {
      if (Error error = finish(); error.failed()) return error;
      family_ = family;
    }
    if (!sorting_ || !single) return carry_out(step, {operation, session_, *family});
    waiting_.push_back(step);
    return {};
  }

  /// Carries out what is still waiting.
  [[nodiscard]] Error finish() {
    // Of one key in the order of the batch, in which the steps lie one after the other.
    const auto before = [](const BatchStep& a, const BatchStep& b) {
      const std::strong_ordering order = a.first <=> b.first;
      return order == 0 ? a.first.data() < b.first.data() : order < 0;
    };
    if (!std::is_sorted(waiting_.begin(), waiting_.end(), before)) {
      std::sort(waiting_.begin(), waiting_.end(), before);
    }
    // Each step takes the connection's lock, which is cheap for who has it. In between others may look.
    constexpr std::size_t steps_at_once = 64;
    for (std::size_t i = 0; i < waiting_.size();) {
      const btree::Lock lock(session_.connection());
      for (const std::size_t end = std::min(i + steps_at_once, waiting_.size()); i < end; ++i) {
        Error error = carry_out(waiting_[i], {operation, session_, *family_});
        if (error.failed()) return error;
      }
    }
    waiting_.clear();
    return {};
  }

 private:
  WriteSession& session_;
  bool sorting_;  // not if somebody is told of the changes in their order
  std::shared_ptr<const Family> family_;
  std::vector<BatchStep> waiting_;
};

}  // namespace

Error write_batch(const Target& target, BytesView batch, const WriteOptions& options) {
  return guarded(operation, target, [&]() -> Error {
    if (Overlay* over = overlay_of(target)) return over->write_batch(target, batch, options);
    if (Error error = check_batch(batch); error.failed()) return error;
    const auto work = [&](WriteSession& session) -> Error {
      // Even if all of it goes to other families: a handle to one that was dropped says so.
      const FamilyEntry* tables = nullptr;
      Error refused = session.resolve(operation, *target.family, false, tables);
      if (refused.failed()) return refused;
      const Family* resolved = nullptr;
      refused = for_each(session, target, batch, [&](const BatchStep& step, const auto& family) -> Error {
        if (family.get() != resolved) {
          if (Error error = session.resolve(operation, *family, true, tables); error.failed()) return error;
          resolved = family.get();
        }
        return check_ttl(step, session.now());
      });
      if (refused.failed()) return refused;
      return change(session, [&]() -> Error {
        InKeyOrder steps(session);
        Error error = for_each(session, target, batch, [&](const BatchStep& step, const auto& family) {
          return steps.add(step, family);
        });
        return error.failed() ? error : steps.finish();
      });
    };
    return write_in_scope(operation, target, work, options.sync);
  });
}

}  // namespace core
}  // namespace snkv
