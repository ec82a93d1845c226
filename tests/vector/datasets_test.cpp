// The loaders of datasets/: what they give for good files, and what they say about bad ones.
#include "support/check.hpp"
#include "support/temp_dir.hpp"

#include <datasets/mnist.hpp>
#include <datasets/words.hpp>

#include <algorithm>
#include <fstream>
#include <map>
#include <string>
#include <vector>

using namespace snkv;
using namespace snkv::test;

namespace {

std::string write(const TempDir& dir, const std::string& name, const std::string& contents) {
  std::ofstream(dir.file(name), std::ios::binary) << contents;
  return dir.file(name);
}

std::string big_endian(std::uint32_t number) {
  std::string out;
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(number >> shift & 255);
  return out;
}

bool fails(const auto& result, Errc code, const std::string& text) {
  return !result && result.error() == code &&
         result.error().message().find(text) != std::string::npos;
}

}  // namespace

TEST_CASE("pictures are read, and damage is named") {
  const TempDir dir;
  const std::string images = big_endian(0x803) + big_endian(2) + big_endian(1) + big_endian(2) +
                             std::string("\x00\xff\x33\x66", 4);
  const std::string labels = big_endian(0x801) + big_endian(2) + std::string("\x07\x01", 2);
  write(dir, "train-images-idx3-ubyte", images);
  write(dir, "train-labels-idx1-ubyte", labels);
  const auto folder = dir.path().string();
  const datasets::Pictures two = must(datasets::load_mnist(folder, "train"));
  CHECK(two.dim == 2);
  CHECK(two.labels == std::vector<std::uint8_t>{7, 1});
  CHECK(two.vectors == std::vector<float>{0, 1, 0.2f, 0.4f});
  CHECK(must(datasets::load_mnist(folder, "train", 1)).size() == 1);
  CHECK(two[1][0] == 0.2f);

  CHECK(fails(datasets::load_mnist(folder, "t10k"), Errc::cant_open, "t10k-images"));
  write(dir, "train-images-idx3-ubyte", images.substr(0, images.size() - 1));
  CHECK(fails(datasets::load_mnist(folder, "train"), Errc::corrupt, "train-images"));
  write(dir, "train-images-idx3-ubyte", labels);
  CHECK(fails(datasets::load_mnist(folder, "train"), Errc::corrupt, "no IDX file"));
  write(dir, "train-images-idx3-ubyte", images);
  write(dir, "train-labels-idx1-ubyte", big_endian(0x801) + big_endian(3));
  CHECK(fails(datasets::load_mnist(folder, "train"), Errc::corrupt, "another number of labels"));
  write(dir, "train-labels-idx1-ubyte", big_endian(0x801) + big_endian(2) + "\x07");
  CHECK(fails(datasets::load_mnist(folder, "train"), Errc::corrupt, "train-labels"));
}

TEST_CASE("words are read one by one, and damage is named") {
  const TempDir dir;
  const std::string head =
      R"({"precision":8,"size":3,"dimensions":2,"words":["the","of","x"],"vectors":{)";
  const std::string good =
      head + R"("the":[1,-2.5,9,0],"of":[3,4,9,1],"x":[5,6,9,2]},"unkVector":[0,0,0,-1]})";
  std::map<std::string, std::vector<float>> words;
  const datasets::UseWord take = [&](const std::string& word, std::span<const float> vector) {
    words[word].assign(vector.begin(), vector.end());
    return true;
  };
  must(datasets::load_words(write(dir, "words.json", good), take));
  CHECK(words == std::map<std::string, std::vector<float>>{
                     {"of", {3, 4}}, {"the", {1, -2.5f}}, {"x", {5, 6}}});
  words.clear();
  must(datasets::load_words(dir.file("words.json"), take, 2));
  CHECK(words.size() == 2);
  int calls = 0;
  must(datasets::load_words(dir.file("words.json"), [&](auto&, auto) { return ++calls < 2; }));
  CHECK(calls == 2);

  CHECK(fails(datasets::load_words(dir.file("none"), take), Errc::cant_open, "none"));
  const auto refused = [&](const std::string& contents, const std::string& why) {
    INFO(contents);
    CHECK(fails(datasets::load_words(write(dir, "bad.json", contents), take), Errc::corrupt, why));
  };
  refused(head + R"("the":[1]},)", "\"the\" has too few numbers");
  refused(head + R"("the":[1,2,)", "unexpected end of input");
  refused(R"({"dimensions":2})", "there are no vectors");
  refused(R"({"vectors":{"the":[1,2]}})", "too few numbers");
  refused("no JSON", "parse error");
}

#ifdef SNKV_MNIST_DIR
TEST_CASE("the pictures that are fetched are those of MNIST") {
  const datasets::Pictures test = must(datasets::load_mnist(SNKV_MNIST_DIR, "t10k"));
  CHECK(test.size() == 10'000);
  CHECK(test.dim == 784);
  CHECK(std::count(test.labels.begin(), test.labels.end(), 7) == 1028);
  CHECK(*std::max_element(test.vectors.begin(), test.vectors.end()) == 1.0f);
}
#endif
