/// \file
/// Keys, values and orders of access, the same in every run of one seed.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <numeric>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace benchmark {

/// splitmix64.
class Random {
 public:
  explicit Random(std::uint64_t seed) noexcept : state_(seed) {}
  std::uint64_t next() noexcept {
    state_ += 0x9e3779b97f4a7c15u;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  std::uint64_t below(std::uint64_t limit) noexcept { return next() % limit; }
  double unit() noexcept { return static_cast<double>(next() >> 11) * 0x1p-53; }

 private:
  std::uint64_t state_;
};

/// 16 digits, in the order of the numbers. A hundred numbers share their first 14.
inline void key_to(std::uint64_t number, std::string& key) {
  key.resize(16);
  for (std::size_t i = 16; i-- > 0; number /= 10) key[i] = static_cast<char>('0' + number % 10);
}
[[nodiscard]] inline std::string key_of(std::uint64_t number) {
  std::string key;
  key_to(number, key);
  return key;
}

/// Values that no compression makes smaller.
class Values {
 public:
  explicit Values(std::size_t size) : size_(size), bytes_(size + spread, '\0') {
    Random random(size);
    for (char& byte : bytes_) byte = static_cast<char>(random.next());
  }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  /// The value of entry `number` after it was written `version` times.
  [[nodiscard]] std::string_view of(std::uint64_t number, std::uint64_t version = 0) const {
    return {bytes_.data() + (number * 31 + version * 7) % spread, size_};
  }

 private:
  static constexpr std::size_t spread = 4096;
  std::size_t size_;
  std::string bytes_;
};

/// 0 to `count` - 1 in a random order.
[[nodiscard]] inline std::vector<std::uint32_t> shuffled(std::size_t count, std::uint64_t seed) {
  std::vector<std::uint32_t> numbers(count);
  std::iota(numbers.begin(), numbers.end(), 0u);
  Random random(seed);
  for (std::size_t i = count; i > 1; --i) std::swap(numbers[i - 1], numbers[random.below(i)]);
  return numbers;
}

/// Numbers below `count`, some far more often than others: the Zipfian distribution as YCSB draws
/// it (Gray et al., "Quickly generating billion-record synthetic databases", SIGMOD 1994),
/// scattered over the range.
class Zipfian {
 public:
  explicit Zipfian(std::uint64_t count, double theta = 0.99) : count_(count), theta_(theta) {
    for (std::uint64_t i = 1; i <= count; ++i) {
      zeta_ += 1.0 / std::pow(static_cast<double>(i), theta);
      if (i == 2) zeta2_ = zeta_;
    }
    alpha_ = 1.0 / (1.0 - theta);
    eta_ = (1 - std::pow(2.0 / static_cast<double>(count), 1 - theta)) / (1 - zeta2_ / zeta_);
  }
  /// The rank: 0 is drawn most often.
  [[nodiscard]] std::uint64_t rank(Random& random) const {
    const double u = random.unit();
    const double uz = u * zeta_;
    if (uz < 1) return 0;
    if (uz < 1 + std::pow(0.5, theta_)) return 1;
    const auto drawn = static_cast<std::uint64_t>(static_cast<double>(count_) *
                                                  std::pow(eta_ * u - eta_ + 1, alpha_));
    return drawn < count_ ? drawn : count_ - 1;
  }
  [[nodiscard]] std::uint64_t operator()(Random& random) const {
    return Random(rank(random)).next() % count_;
  }

 private:
  std::uint64_t count_;
  double theta_;
  double zeta_ = 0;
  double zeta2_ = 0;
  double alpha_ = 0;
  double eta_ = 0;
};

}  // namespace benchmark
