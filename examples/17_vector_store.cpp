// Semantic search in a file: vectors with values and metadata, in transactions with everything
// else.
#include <snkv/vector.hpp>

#include "expect.hpp"

#include <array>
#include <string>
#include <string_view>

namespace {

using Colour = std::array<float, 3>;
using Colours = snkv::VectorStore<3, snkv::L2>;

void fill(Colours& colours) {
  must(colours.put("red", Colour{255, 0, 0}, {.value = "#ff0000", .metadata = {{"warm", true}}}));
  must(colours.put("crimson", Colour{220, 20, 60},
                   {.value = "#dc143c", .metadata = {{"warm", true}, {"since", 1400}}}));
  must(colours.put("navy", Colour{0, 0, 128},
                   {.value = "#000080", .metadata = {{"warm", false}, {"since", 1840}}}));
  must(colours.put("gold", Colour{255, 215, 0}, {.metadata = {{"warm", true}, {"since", 1400}}}));
}

}  // namespace

int main() {
  const Colour tomato{255, 99, 71};
  {
    auto colours = must(Colours::open("colours.db", {.name = "colours"}));
    fill(colours);
    const auto near = must(colours.search(tomato, 2));
    std::cout << "near tomato:";
    for (const auto& hit : near) {
      std::cout << ' ' << hit.key << " (" << hit.distance << ", " << hit.value->view() << ')';
    }
    std::cout << '\n';
    expect(near[0].key == "crimson", "the nearest");

    // Any condition on the metadata, and still as many as there are.
    const auto old = must(colours.search(
        tomato, 10, {.filter = snkv::field("since") < 1800 && snkv::field("warm") == true}));
    expect(old.size() == 2, "crimson and gold");
    expect(must(colours.count(snkv::field("since").exists())) == 3, "without a scan");

    // Together with whatever else the store holds, or not at all.
    snkv::Store store = colours.store();
    snkv::Transaction transaction = must(store.begin());
    auto inside = must(colours.in(transaction));
    must(inside.put("tomato", tomato, {.value = "#ff6347"}));
    must(transaction.put("latest", "tomato"));
    expect(must(colours.search_keys(tomato, 1))[0].key == "crimson", "not committed yet");
    must(transaction.commit());
    expect(must(colours.search_keys(tomato, 1))[0].key == "tomato", "committed");

    must(colours.erase("gold"));
  }
  // It is all in the file. What a collection is like need not be said again.
  const auto again = must(snkv::VectorStore<>::open("colours.db", {.name = "colours"}));
  std::cout << again.dim() << " dimensions, " << to_string(again.metric()) << ", "
            << must(again.size()) << " colours\n";
  expect(must(again.get("tomato")).view() == "#ff6347", "the value");
  const auto wrong = snkv::VectorStore<4>::open(again.store(), {.name = "colours"});
  expect(!wrong && wrong.error() == snkv::Errc::dimension_mismatch, "four dimensions");
  std::cout << wrong.error().message() << '\n';
}
