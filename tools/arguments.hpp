/// \file
/// The arguments of a command: values, options with a value of their own ("--family users"), and flags
/// ("--plain").
#pragma once

#include <functional>
#include <initializer_list>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace snkv::tool {

/// A mistake of whoever called the tool; the text is for him.
struct Misuse {
  std::string text;
};

class Arguments {
 public:
  /// Throws `Misuse` for what is none of the known options and flags, and for an option without a value.
  Arguments(int count, char** arguments, std::initializer_list<std::string_view> known_options,
            std::initializer_list<std::string_view> known_flags = {});

  /// The values. Throws `Misuse` unless there are so many.
  [[nodiscard]] const std::vector<std::string>& values(std::size_t count) const;
  /// The value of an option; what `otherwise` says if it was not given.
  [[nodiscard]] std::string option(std::string_view name, std::string_view otherwise = {}) const;
  /// Whether a flag was given.
  [[nodiscard]] bool flag(std::string_view name) const;
  /// An option as a number. Throws `Misuse` if it is none.
  [[nodiscard]] unsigned long number(std::string_view name, unsigned long otherwise) const;

 private:
  std::vector<std::string> values_;
  std::map<std::string, std::string, std::less<>> options_;
  std::set<std::string, std::less<>> flags_;
};

}  // namespace snkv::tool
