#include "operations.hpp"

#include <array>

namespace snkv::model {

namespace {

// Out of about 10 000. Writes and reads dominate; what costs milliseconds is rare.
constexpr std::array all_operations = {
    Operation{"put", 2200, ops::put},
    Operation{"put_with_ttl", 350, ops::put_with_ttl},
    Operation{"get", 1300, ops::get},
    Operation{"contains", 450, ops::contains},
    Operation{"erase", 900, ops::erase},
    Operation{"clear", 6, ops::clear},
    Operation{"count", 150, ops::count},
    Operation{"scan", 120, ops::scan},
    Operation{"bad_arguments", 20, ops::bad_arguments},

    Operation{"begin", 330, ops::begin},
    Operation{"commit", 110, ops::commit},
    Operation{"rollback", 30, ops::rollback},
    Operation{"abandon", 20, ops::abandon},
    Operation{"transact", 40, ops::transact},
    Operation{"savepoint", 120, ops::savepoint},
    Operation{"savepoint_rollback", 60, ops::savepoint_rollback},
    Operation{"savepoint_release", 40, ops::savepoint_release},
    Operation{"savepoint_abandon", 25, ops::savepoint_abandon},

    Operation{"open_iterator", 150, ops::open_iterator},
    Operation{"move_iterator", 2600, ops::move_iterator},
    Operation{"close_iterator", 90, ops::close_iterator},
    Operation{"take_snapshot", 30, ops::take_snapshot},
    Operation{"read_snapshot", 250, ops::read_snapshot},
    Operation{"copy_snapshot", 5, ops::copy_snapshot},
    Operation{"release_snapshot", 25, ops::release_snapshot},

    Operation{"create_family", 45, ops::create_family},
    Operation{"open_family", 60, ops::open_family},
    Operation{"get_or_create_family", 45, ops::get_or_create_family},
    Operation{"drop_family", 25, ops::drop_family},
    Operation{"list_families", 15, ops::list_families},
    Operation{"bad_family_name", 4, ops::bad_family_name},
    Operation{"forget_handle", 40, ops::forget_handle},

    Operation{"advance_clock", 120, ops::advance_clock},
    Operation{"open_second", 15, ops::open_second},
    Operation{"close_second", 8, ops::close_second},
    Operation{"reopen", 6, ops::reopen},
    Operation{"close_while_used", 4, ops::close_while_used},
    Operation{"checkpoint", 12, ops::checkpoint},
    Operation{"vacuum", 6, ops::vacuum},
    Operation{"sync", 4, ops::sync},
    Operation{"stats", 30, ops::stats},
    Operation{"integrity_check", 2, ops::integrity_check},
    Operation{"compare_all", 10, ops::compare_all},
};

constexpr unsigned total_weight() {
  unsigned sum = 0;
  for (const Operation& operation : all_operations) sum += operation.weight;
  return sum;
}

const Operation& pick(Rng& rng) {
  std::uint64_t ticket = rng.below(total_weight());
  for (const Operation& operation : all_operations) {
    if (ticket < operation.weight) return operation;
    ticket -= operation.weight;
  }
  return all_operations.front();
}

}  // namespace

std::span<const Operation> operations() { return all_operations; }

void run_one(World& world) {
  while (!pick(world.rng).run(world)) {
  }
  ++world.operations_done;
}

}  // namespace snkv::model
