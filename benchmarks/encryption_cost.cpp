// What encryption costs: the same entries put, read and scanned in a plain store and in an encrypted one,
// beside what libsodium takes for the same bytes alone. Then what it takes to open a store, with the
// right password and with a wrong one.
//
//     encryption_cost [folder] [rounds]     (., 9)
#include "measure.hpp"

#include <sodium.h>

#include <array>

namespace {

using benchmark::Candidate;
using benchmark::must;

constexpr std::size_t entries = 50'000;

const std::vector<std::string>& shuffled_keys() {
  static const std::vector<std::string> keys = benchmark::shuffled_keys(entries);
  return keys;
}

[[noreturn]] void fail(const char* what) {
  std::fprintf(stderr, "encryption_cost: %s\n", what);
  std::exit(1);
}

void put_all(snkv::Store& store, std::size_t size) {
  static char letter = 'a';
  letter = letter == 'z' ? 'a' : static_cast<char>(letter + 1);
  const std::string value(size, letter);
  std::size_t at = 0;
  while (at < entries) {
    auto transaction = must(store.begin());
    for (int i = 0; i < 1000; ++i) must(transaction.put(shuffled_keys()[at++], value));
    must(transaction.commit());
  }
}

void get_all(const snkv::Store& store, std::size_t size) {
  for (const std::string& key : shuffled_keys()) {
    if (must(store.get(key)).size() != size) fail("a wrong value");
  }
}

void scan_all(const snkv::Store& store, std::size_t size) {
  snkv::Range all = store.all();
  std::size_t bytes = 0;
  for (auto [key, value] : all) bytes += value.size();
  must(all.status());
  if (bytes != entries * size) fail("a scan ended early");
}

/// libsodium alone: as many values, with nonces and as much associated data as the store has.
class Raw {
 public:
  explicit Raw(std::size_t size) : plain_(size, 'x'), sealed_(size + tag_size), opened_(size) {
    randombytes_buf(key_.data(), key_.size());
    seal();
  }
  void seal_all() {
    for (std::size_t i = 0; i < entries; ++i) seal();
  }
  void open_all() {
    for (std::size_t i = 0; i < entries; ++i) {
      if (crypto_aead_xchacha20poly1305_ietf_decrypt(
              opened_.data(), nullptr, nullptr, sealed_.data(), sealed_.size(), data_.data(),
              data_.size(), nonce_.data(), key_.data()) != 0) {
        fail("libsodium does not open what it sealed");
      }
    }
  }

 private:
  void seal() {
    randombytes_buf(nonce_.data(), nonce_.size());
    crypto_aead_xchacha20poly1305_ietf_encrypt(sealed_.data(), nullptr, plain_.data(), plain_.size(),
                                               data_.data(), data_.size(), nullptr, nonce_.data(),
                                               key_.data());
  }

  static constexpr std::size_t tag_size = crypto_aead_xchacha20poly1305_ietf_ABYTES;
  std::array<unsigned char, crypto_aead_xchacha20poly1305_ietf_KEYBYTES> key_{};
  std::array<unsigned char, crypto_aead_xchacha20poly1305_ietf_NPUBBYTES> nonce_{};
  std::array<unsigned char, 48> data_{};
  std::vector<unsigned char> plain_;
  std::vector<unsigned char> sealed_;
  std::vector<unsigned char> opened_;
};

/// Three lines, and what encryption adds to an operation against what libsodium takes for it.
void compare(const char* what, std::vector<Candidate> candidates, int rounds) {
  benchmark::take_turns(candidates, rounds);
  std::printf("%s\n", what);
  benchmark::print(candidates, candidates.front());
  const double added = 1e9 / candidates[1].rate() - 1e9 / candidates[0].rate();
  const double raw = 1e9 / candidates[2].rate();
  std::printf("%-24s %10.0f ns each, libsodium alone %.0f ns\n", "encryption adds", added, raw);
}

void measure(const benchmark::Folder& folder, std::size_t size, int rounds) {
  const snkv::Options options{.sync = snkv::Sync::off, .cache_size = 128u << 20};
  const std::string name = std::to_string(size);
  auto plain = must(snkv::Store::open(folder.file(name + "-plain.db"), options));
  const snkv::Secret secret = snkv::Secret::key(std::string(snkv::Secret::key_size, 'k'));
  auto sealed =
      must(snkv::Store::open_encrypted(folder.file(name + "-encrypted.db"), secret, options));
  Raw raw(size);
  const std::string bytes = ", " + name + " bytes";
  compare(("put" + bytes).c_str(),
          {{"plain", entries, [&] { put_all(plain, size); }},
           {"encrypted", entries, [&] { put_all(sealed, size); }},
           {"libsodium, sealing", entries, [&] { raw.seal_all(); }}},
          rounds);
  compare(("get" + bytes).c_str(),
          {{"plain", entries, [&] { get_all(plain, size); }},
           {"encrypted", entries, [&] { get_all(sealed, size); }},
           {"libsodium, opening", entries, [&] { raw.open_all(); }}},
          rounds);
  compare(("scan" + bytes).c_str(),
          {{"plain", entries, [&] { scan_all(plain, size); }},
           {"encrypted", entries, [&] { scan_all(sealed, size); }},
           {"libsodium, opening", entries, [&] { raw.open_all(); }}},
          rounds);
  const auto in_use = [](const snkv::Store& store) {
    return static_cast<double>(must(store.space()).live_bytes) / (1 << 20);
  };
  std::printf("%.1f MiB in use plain, %.1f MiB encrypted\n\n", in_use(plain), in_use(sealed));
}

/// Whether a wrong password can be told from a right one by the time it takes.
void measure_opening(const benchmark::Folder& folder, int rounds) {
  const std::string path = folder.file("password.db");
  const snkv::Secret right = snkv::Secret::password("correct horse");
  const snkv::Secret wrong = snkv::Secret::password("correct horsf");
  { must(snkv::Store::open_encrypted(path, right)); }
  std::vector<Candidate> candidates = {
      {"the right password", 1, [&] { must(snkv::Store::open_encrypted(path, right)); }},
      {"a wrong password", 1, [&] {
         if (snkv::Store::open_encrypted(path, wrong)) fail("a wrong password opens it");
       }}};
  benchmark::take_turns(candidates, rounds);
  std::printf("opening, 64 MiB and 3 passes\n");
  benchmark::print(candidates, candidates.front());
}

}  // namespace

int main(int argc, char** argv) {
  const std::string place = argc > 1 ? argv[1] : ".";
  const int rounds = argc > 2 ? std::max(3, std::atoi(argv[2])) : 9;
  if (sodium_init() < 0) fail("libsodium has no source of random bytes");
  const benchmark::Folder folder(place);
  std::printf("%zu entries in %s, 1000 puts in a transaction, %d rounds, medians\n\n", entries,
              place.c_str(), rounds);
  for (const std::size_t size : {100, 1000}) measure(folder, size, rounds);
  measure_opening(folder, std::max(rounds, 25));
}
