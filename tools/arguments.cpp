#include "arguments.hpp"

#include <algorithm>
#include <charconv>
#include <system_error>

namespace snkv::tool {

Arguments::Arguments(int count, char** arguments, std::initializer_list<std::string_view> known_options,
                     std::initializer_list<std::string_view> known_flags) {
  const auto has = [](std::initializer_list<std::string_view> known, std::string_view name) {
    return std::find(known.begin(), known.end(), name) != known.end();
  };
  for (int i = 0; i < count; ++i) {
    const std::string_view argument = arguments[i];
    if (!argument.starts_with("--")) {
      values_.emplace_back(argument);
      continue;
    }
    if (has(known_flags, argument.substr(2))) {
      flags_.emplace(argument.substr(2));
      continue;
    }
    if (!has(known_options, argument.substr(2))) {
      throw Misuse{"there is no option " + std::string(argument) + " here"};
    }
    if (++i == count) throw Misuse{std::string(argument) + " needs a value"};
    options_[std::string(argument.substr(2))] = arguments[i];
  }
}

const std::vector<std::string>& Arguments::values(std::size_t count) const {
  if (values_.size() != count) {
    throw Misuse{std::to_string(count) + " values are needed, not " + std::to_string(values_.size())};
  }
  return values_;
}

std::string Arguments::option(std::string_view name, std::string_view otherwise) const {
  const auto found = options_.find(name);
  return found == options_.end() ? std::string(otherwise) : found->second;
}

bool Arguments::flag(std::string_view name) const { return flags_.contains(name); }

unsigned long Arguments::number(std::string_view name, unsigned long otherwise) const {
  const auto found = options_.find(name);
  if (found == options_.end()) return otherwise;
  const std::string& text = found->second;
  unsigned long number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) {
    throw Misuse{"--" + std::string(name) + " needs a number, not " + text};
  }
  return number;
}

}  // namespace snkv::tool
