#include "operations.hpp"

#include <array>

namespace snkv::model {

namespace {

// Out of about 10 000. Writes and reads dominate; what costs milliseconds is rare.
constexpr std::array all_operations = {
    Operation{"put", 2200, ops::put},
    Operation{"put_with_expiry", 350, ops::put_with_expiry},
    Operation{"get", 1300, ops::get},
    Operation{"contains", 450, ops::contains},
    Operation{"erase", 900, ops::erase},
    Operation{"clear", 4, ops::clear},
    Operation{"count", 150, ops::count},
    Operation{"scan", 120, ops::scan},
    Operation{"bad_arguments", 20, ops::bad_arguments},

    Operation{"put_if_absent", 120, ops::put_if_absent},
    Operation{"compare_and_swap", 120, ops::compare_and_swap},
    Operation{"get_and_put", 90, ops::get_and_put},
    Operation{"get_and_erase", 90, ops::get_and_erase},
    Operation{"merge", 120, ops::merge},
    Operation{"increment", 150, ops::increment},
    Operation{"put_number", 15, ops::put_number},
    Operation{"erase_range", 30, ops::erase_range},
    Operation{"expire", 120, ops::expire},
    Operation{"persist", 60, ops::persist},
    Operation{"purge_expired", 25, ops::purge_expired},
    Operation{"purge_all_expired", 12, ops::purge_all_expired},
    Operation{"make_batch", 40, ops::make_batch},
    Operation{"write_batch", 90, ops::write_batch},
    Operation{"fill", 4, ops::fill},

    Operation{"multi_get", 120, ops::multi_get},
    Operation{"count_range", 120, ops::count_range},
    Operation{"count_live", 40, ops::count_live},
    Operation{"family_stats", 15, ops::family_stats},
    Operation{"ttl", 150, ops::ttl},
    Operation{"visit", 150, ops::visit},
    Operation{"sql_count", 12, ops::sql_count},

    Operation{"open_value", 90, ops::open_value},
    Operation{"read_value", 300, ops::read_value},
    Operation{"close_value", 70, ops::close_value},
    Operation{"write_in_pieces", 25, ops::write_in_pieces},
    Operation{"open_writer", 40, ops::open_writer},
    Operation{"use_writer", 150, ops::use_writer},
    Operation{"close_writer", 6, ops::close_writer},
    Operation{"put_file", 8, ops::put_file},
    Operation{"get_to_file", 8, ops::get_to_file},

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
    Operation{"backup", 1, ops::backup},
    Operation{"verify", 1, ops::verify},
    Operation{"compact", 1, ops::compact},
    Operation{"changes", 15, ops::changes},
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
