// Column families: created, dropped, created again, through either store and in transactions.
#include "operations.hpp"

#include <algorithm>
#include <string>
#include <utility>

namespace snkv::model::ops {

namespace {

constexpr std::size_t max_handles = 14;

/// Calls `call` on the store or transaction that `place` names.
template <class Call>
auto with_place(World& world, Place place, Call&& call) {
  if (place == Place::transaction) return call(world.transaction);
  return call(*world.stores[place == Place::second_store ? 1 : 0]);
}

void keep(World& world, ColumnFamily family, std::string_view name, Place place) {
  if (world.handles.size() >= max_handles) {
    world.handles.erase(world.handles.begin() +
                        static_cast<std::ptrdiff_t>(world.rng.below(world.handles.size())));
  }
  world.require(family.name() == name, "a family handle with the wrong name");
  world.handles.push_back({std::move(family), std::string(name),
                           world.state_at(place).at(name).incarnation, place,
                           world.transaction_serial});
}

std::string pick_name(World& world) {
  if (world.rng.one_in(25)) return "default";
  return std::string(family_names[world.rng.below(family_names.size())]);
}

/// "Sessions" for "sessions": tables whose names differ only in case cannot exist together.
std::string other_case(std::string name) {
  if (name[0] >= 'a' && name[0] <= 'z') name[0] = static_cast<char>(name[0] - 'a' + 'A');
  return name;
}

Outcome reading(const World& world, Place place, Outcome outcome) {
  if (world.commit_pending && place != Place::transaction) outcome.add(Errc::busy);
  return outcome;
}

}  // namespace

bool create_family(World& world) {
  const Place place = world.pick_write_place();
  const std::string name = pick_name(world);
  world.trace("create family " + std::string(to_string(place)) + "/" + name);
  Outcome allowed = world.write_outcome(place);
  if (world.state_at(place).has(name)) {
    // Found out before or after the write lock was asked for.
    allowed.remove(Errc::ok);
    allowed.add(Errc::exists);
  }
  auto made = with_place(world, place, [&](auto& in) { return in.create_column_family(name); });
  if (!world.expect(made, allowed, "create_column_family")) return true;
  world.state_at(place).create(name, world.oracle.new_incarnation());
  keep(world, std::move(*made), name, place);
  return true;
}

bool open_family(World& world) {
  const Place place = world.pick_place();
  const std::string name = pick_name(world);
  world.trace("open family " + std::string(to_string(place)) + "/" + name);
  const bool there = world.state_at(place).has(name);
  auto opened = with_place(world, place, [&](auto& in) { return in.open_column_family(name); });
  const Outcome allowed = reading(world, place, {there ? Errc::ok : Errc::not_found});
  if (world.expect(opened, allowed, "open_column_family")) {
    keep(world, std::move(*opened), name, place);
  }
  return true;
}

bool get_or_create_family(World& world) {
  const Place place = world.pick_write_place();
  const std::string name = pick_name(world);
  world.trace("get or create family " + std::string(to_string(place)) + "/" + name);
  const bool there = world.state_at(place).has(name);
  const Outcome allowed = there ? reading(world, place, {Errc::ok}) : world.write_outcome(place);
  auto family = with_place(world, place, [&](auto& in) { return in.column_family(name); });
  if (!world.expect(family, allowed, "column_family")) return true;
  if (!there) world.state_at(place).create(name, world.oracle.new_incarnation());
  keep(world, std::move(*family), name, place);
  return true;
}

bool drop_family(World& world) {
  const Place place = world.pick_write_place();
  const std::string name = pick_name(world);
  world.trace("drop family " + std::string(to_string(place)) + "/" + name);
  Outcome allowed = world.write_outcome(place);
  if (name == "default") {
    allowed.remove(Errc::ok);
    allowed.add(Errc::invalid_argument);
  } else if (!world.state_at(place).has(name)) {
    allowed.remove(Errc::ok);
    allowed.add(Errc::not_found);
  }
  auto dropped = with_place(world, place, [&](auto& in) { return in.drop_column_family(name); });
  if (!world.expect(dropped, allowed, "drop_column_family")) return true;
  world.state_at(place).drop(name);
  world.note(place, {{Change::Kind::clear, name, {}, {}, {}, 0}});
  return true;
}

bool list_families(World& world) {
  const Place place = world.pick_place();
  world.trace("list families " + std::string(to_string(place)));
  auto names = with_place(world, place, [&](auto& in) { return in.list_column_families(); });
  if (!world.expect(names, reading(world, place, {Errc::ok}), "list_column_families")) return true;
  const auto& families = world.state_at(place).families();
  const bool same =
      std::equal(names->begin(), names->end(), families.begin(), families.end(),
                 [](const std::string& name, const auto& family) { return name == family.first; });
  world.require(same, "list_column_families: other names than expected");
  return true;
}

bool bad_family_name(World& world) {
  const Place place = world.pick_write_place();
  if (world.rng.percent(40)) {
    const std::string name = other_case(pick_name(world));
    const std::string existing = static_cast<char>(name[0] | 0x20) + name.substr(1);
    if (name == existing || !world.state_at(place).has(existing)) return false;
    world.trace("a family that differs in case " + std::string(to_string(place)) + "/" + name);
    auto opened = with_place(world, place, [&](auto& in) { return in.open_column_family(name); });
    world.expect(opened, reading(world, place, {Errc::not_found}), "open_column_family");
    Outcome allowed = world.write_outcome(place);
    allowed.remove(Errc::ok);
    allowed.add(Errc::exists);
    allowed.add(Errc::invalid_argument);
    auto made = with_place(world, place, [&](auto& in) { return in.create_column_family(name); });
    world.expect(made, allowed, "create_column_family");
    auto either = with_place(world, place, [&](auto& in) { return in.column_family(name); });
    world.expect(either, allowed, "column_family");
    return true;
  }
  static const std::array<std::string, 6> bad = {"",
                                                 "snkv_x",
                                                 "sqlite_stat1",
                                                 std::string(max_family_name_size + 1, 'n'),
                                                 std::string("nul\0nul", 7),
                                                 "\xc3\x28"};
  const std::string& name = bad[world.rng.below(bad.size())];
  world.trace("bad family name " + printable(name));
  Outcome allowed = world.write_outcome(place);
  allowed.remove(Errc::ok);
  allowed.add(Errc::invalid_argument);
  auto made = with_place(world, place, [&](auto& in) { return in.create_column_family(name); });
  world.expect(made, allowed, "create_column_family");
  return true;
}

bool forget_handle(World& world) {
  if (world.handles.empty()) return false;
  world.handles.erase(world.handles.begin() +
                      static_cast<std::ptrdiff_t>(world.rng.below(world.handles.size())));
  return true;
}

}  // namespace snkv::model::ops
