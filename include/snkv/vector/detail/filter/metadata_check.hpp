/// \file
/// Which metadata can be kept: those that come back from JSON text as they were.
#pragma once

#include <snkv/vector/detail/base/json_depth.hpp>
#include <snkv/vector/detail/base/text.hpp>
#include <snkv/vector/filter.hpp>

#include <cmath>
#include <cstddef>
#include <string>
#include <string_view>

namespace snkv::vector_detail {

/// Looks for what JSON text does not keep, and says where it is. Text has no discarded values, no
/// binary ones, no NaN and no infinity; strings are UTF-8. Never recurses deeper than the limit.
class MetadataCheck {
 public:
  /// What is wrong with metadata, as "$.a[2] is NaN"; empty if nothing is. Null are none.
  [[nodiscard]] std::string run(const Json& metadata) {
    if (metadata.is_null()) return {};
    if (metadata.is_object()) return look(metadata, 0) ? std::string() : std::move(wrong_);
    if (metadata.is_discarded()) return "$ is a discarded value, what a parser leaves of no JSON";
    return std::string("$ is no object, but of type ") + metadata.type_name();
  }

 private:
  /// False when something is wrong. `level` arrays and objects lie around this value.
  [[nodiscard]] bool look(const Json& value, int level) {
    switch (value.type()) {
      case Json::value_t::discarded:
        return refuse("is a discarded value, what a parser leaves of no JSON");
      case Json::value_t::binary:
        return refuse("is binary");
      case Json::value_t::string:
        return is_utf8(value.get_ref<const std::string&>()) || refuse("is no UTF-8");
      case Json::value_t::number_float: {
        const double number = value.get<double>();
        if (std::isnan(number)) return refuse("is NaN");
        return std::isfinite(number) || refuse("is infinite");
      }
      case Json::value_t::array:
      case Json::value_t::object:
        return inside(value, level);
      default:
        return true;
    }
  }

  [[nodiscard]] bool inside(const Json& value, int level) {
    if (level > max_metadata_depth) {
      wrong_ = "is nested more than " + std::to_string(max_metadata_depth) + " levels deep";
      return false;
    }
    const std::size_t here = path_.size();
    if (value.is_array()) {
      for (std::size_t i = 0; i < value.size(); ++i) {
        path_ += '[' + std::to_string(i) + ']';
        if (!look(value[i], level + 1)) return false;
        path_.resize(here);
      }
      return true;
    }
    for (auto member = value.begin(); member != value.end(); ++member) {
      if (!is_utf8(member.key())) return refuse("has a member whose name is no UTF-8");
      append_name(member.key());
      if (!look(member.value(), level + 1)) return false;
      path_.resize(here);
    }
    return true;
  }

  void append_name(std::string_view name) {
    bool plain = !name.empty();
    for (const char c : name) {
      plain = plain && ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                        c == '_' || c == '-');
    }
    if (plain) {
      path_.append(".").append(name);
    } else {
      path_.append("[").append(Json(std::string(name)).dump()).append("]");
    }
  }

  bool refuse(std::string_view why) {
    constexpr std::size_t longest = 200;
    wrong_ = "$" + (path_.size() <= longest ? path_ : path_.substr(0, longest) + "...");
    wrong_.append(" ").append(why);
    return false;
  }

  std::string path_;
  std::string wrong_;
};

/// What is wrong with metadata; empty if they can be kept.
[[nodiscard]] inline std::string check_metadata(const Json& metadata) {
  return MetadataCheck().run(metadata);
}

}  // namespace snkv::vector_detail
