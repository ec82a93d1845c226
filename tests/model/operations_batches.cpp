// Batches: made without a store, carried out here and there, again and again.
#include "operations.hpp"

#include <utility>

namespace snkv::model::ops {

namespace {

constexpr std::size_t max_batches = 4;
using Kind = KeptBatch::Step::Kind;

/// A plain step; few are such that the batch must be refused.
KeptBatch::Step random_step(World& world) {
  KeptBatch::Step step;
  Rng& rng = world.rng;
  step.key = world.keys.key(rng);
  const std::uint64_t kind = rng.below(1000);
  if (kind < 550) {
    step.value = world.new_value();
    step.expiry = random_expiry(world, 20);
    // Most of the bad ones would spoil too many batches.
    if (step.expiry.refused(world.clock.now()) && !rng.one_in(3)) step.expiry = {};
  } else if (kind < 770) {
    step.kind = Kind::erase;
  } else if (kind < 870) {
    step.kind = Kind::erase_range;
    step.high = step.key + (rng.percent(50) ? std::string(1, '\0') : std::string("1"));
    if (rng.one_in(10)) step.high = world.keys.key(rng);
    if (step.high < step.key && !rng.one_in(5)) std::swap(step.high, step.key);
  } else if (kind < 875) {
    step.kind = Kind::clear;
  } else {
    step.kind = Kind::family;
    step.key.clear();
    if (rng.percent(60)) step.key = "default";
    if (rng.percent(30)) step.key = family_names[rng.below(family_names.size())];
  }
  if (rng.one_in(150)) step.key.clear();
  return step;
}

void add(WriteBatch& batch, const KeptBatch::Step& step) {
  switch (step.kind) {
    case Kind::put:
      batch.put(step.key, *step.value, step.expiry.options());
      break;
    case Kind::erase:
      batch.erase(step.key);
      break;
    case Kind::erase_range:
      batch.erase_range(step.key, step.high);
      break;
    case Kind::clear:
      batch.clear_family();
      break;
    case Kind::family:
      batch.in_family(step.key);
      break;
  }
}

/// Whether its arguments are refused.
bool is_bad(const KeptBatch& batch, std::int64_t now) {
  for (const auto& step : batch.steps) {
    switch (step.kind) {
      case Kind::put:
        if (step.key.empty() || step.expiry.refused(now)) return true;
        break;
      case Kind::erase:
        if (step.key.empty()) return true;
        break;
      case Kind::erase_range:
        if (step.key > step.high) return true;
        break;
      default:
        break;
    }
  }
  return false;
}

bool names_a_missing_family(const KeptBatch& batch, const State& state) {
  for (const auto& step : batch.steps) {
    if (step.kind == Kind::family && !step.key.empty() && !state.has(step.key)) return true;
  }
  return false;
}

/// To the oracle.
void carry_out(World& world, const KeptBatch& batch, const Access& access) {
  State& state = world.state_at(access.place);
  const std::int64_t now = world.now_at(access.place);
  std::vector<Change> changes;
  std::string family = access.name;
  for (const auto& step : batch.steps) {
    switch (step.kind) {
      case Kind::put:
        // A copy: the oracle knows a value by its address, and here one is put again and again.
        state.put(family, step.key,
                  {std::make_shared<const std::string>(*step.value), step.expiry.moment(now)});
        changes.push_back({Change::Kind::put, family, step.key, {}, {}, 0});
        break;
      case Kind::erase:
        if (!state.erase(family, step.key)) break;
        changes.push_back({Change::Kind::erase, family, step.key, {}, {}, 0});
        break;
      case Kind::erase_range: {
        auto keys = state.erase_range(family, {step.key, step.high, true});
        if (keys.empty()) break;
        changes.push_back({Change::Kind::range, family, step.key, step.high, std::move(keys), 0});
        break;
      }
      case Kind::clear:
        state.clear(family);
        if (access.place == Place::transaction) world.lose_writers(family);
        changes.push_back({Change::Kind::clear, family, {}, {}, {}, 0});
        break;
      case Kind::family:
        family = step.key.empty() ? access.name : step.key;
        break;
    }
  }
  world.note(access.place, std::move(changes));
}

}  // namespace

bool make_batch(World& world) {
  KeptBatch kept;
  const std::size_t steps = world.rng.one_in(20) ? 0 : world.rng.between(1, 12);
  for (std::size_t i = 0; i < steps; ++i) {
    kept.steps.push_back(random_step(world));
    add(kept.batch, kept.steps.back());
  }
  world.trace("make a batch of " + std::to_string(steps));
  world.require(kept.batch.empty() == kept.steps.empty(), "a batch: empty() is wrong");
  if (world.batches.size() == max_batches) {
    world.batches.erase(world.batches.begin() +
                        static_cast<std::ptrdiff_t>(world.rng.below(max_batches)));
  }
  world.batches.push_back(std::move(kept));
  return true;
}

namespace {

void write(World& world, const KeptBatch& batch) {
  const Access access = world.pick_writer();
  world.trace("write a batch of " + std::to_string(batch.steps.size()) + " " + describe(access));
  Outcome allowed = world.write_outcome(access);
  if (access.place != Place::ended_transaction) {
    if (is_bad(batch, world.now_at(access.place))) refuse(allowed, Errc::invalid_argument);
    if (names_a_missing_family(batch, world.state_at(access.place))) {
      refuse(allowed, Errc::not_found);
    }
  } else if (is_bad(batch, world.clock.now())) {
    allowed.add(Errc::invalid_argument);
  }
  // Its bytes are as good as itself.
  const auto written = world.rng.percent(30) ? access.writer->write(WriteBatch(batch.batch.data()))
                                             : access.writer->write(batch.batch);
  if (world.expect(written, allowed, "write")) carry_out(world, batch, access);
}

}  // namespace

bool write_batch(World& world) {
  if (world.batches.empty()) return false;
  write(world, world.batches[world.rng.below(world.batches.size())]);
  return true;
}

bool fill(World& world) {
  // Without it no family would ever have so many entries that ranges are erased as a whole.
  KeptBatch batch;
  const std::uint64_t first = world.rng.below(200);
  for (std::uint64_t i = 0; i < 350; ++i) {
    KeptBatch::Step step;
    step.key = "k" + std::to_string(first + i);
    step.value = world.values.value_of(world.rng.below(24));
    add(batch.batch, step);
    batch.steps.push_back(std::move(step));
  }
  write(world, batch);
  return true;
}

}  // namespace snkv::model::ops
