// Why a crash test that is no Catch2 program has failed.
#pragma once

#include <string>
#include <string_view>

namespace snkv::test {

struct Failure {
  std::string what;
};

/// Throws `Failure` with the message of a result that is an error.
void require(const auto& result, std::string_view what) {
  if (!result) throw Failure{std::string(what) + ": " + result.error().message()};
}

}  // namespace snkv::test
