// Nearest neighbours in memory: a header, and no library to link.
#include <snkv/vector/index.hpp>

#include "expect.hpp"

#include <array>
#include <cstdint>
#include <string_view>

int main() {
  // Colours as points: what is similar is near.
  struct Colour {
    std::string_view name;
    std::array<float, 3> rgb;
  };
  const std::array<Colour, 8> colours{{{"black", {0, 0, 0}},
                                       {"white", {255, 255, 255}},
                                       {"red", {255, 0, 0}},
                                       {"crimson", {220, 20, 60}},
                                       {"navy", {0, 0, 128}},
                                       {"sky blue", {135, 206, 235}},
                                       {"forest green", {34, 139, 34}},
                                       {"gold", {255, 215, 0}}}};
  auto index = must(snkv::VectorIndex<3, snkv::L2>::create());
  for (std::uint64_t label = 0; label < colours.size(); ++label) {
    must(index.put(label, colours[label].rgb));
  }

  const std::array<float, 3> tomato{255, 99, 71};
  std::cout << "near tomato:";
  const auto near = must(index.search(tomato, 2));
  for (auto [label, distance] : near)
    std::cout << ' ' << colours[label].name << " (" << distance << ')';
  std::cout << '\n';
  expect(colours[near[0].label].name == "crimson", "the nearest");

  // Any condition, and still as many as there are.
  const auto blueish = must(index.search(tomato, 5, {.filter = [&](std::uint64_t label) {
                                           return colours[label].rgb[2] > colours[label].rgb[0];
                                         }}));
  expect(blueish.size() == 2, "navy and sky blue");
  std::cout << "the nearest that is more blue than red: " << colours[blueish[0].label].name << '\n';

  // Errors are values.
  const auto wrong = index.search(std::array<float, 2>{1, 2}, 1);
  expect(!wrong && wrong.error() == snkv::Errc::dimension_mismatch, "two dimensions");
  std::cout << wrong.error().message() << '\n';
}
