// The seal itself, from the inside: published vectors, the vectors of docs/encryption.md, every bit of a
// record, nonces, and keys that go away.
#include "core/cipher.hpp"
#include "core/key_header.hpp"
#include "core/sodium.hpp"
#include "core/store_state.hpp"

#include "support/check.hpp"
#include "support/child_process.hpp"
#include "support/patterned.hpp"
#include "support/sanitizer.hpp"
#include "support/temp_dir.hpp"

#include <snkv/snkv.hpp>

#include <sodium.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

using namespace snkv;
using namespace snkv::core;
using namespace snkv::test;

namespace {

std::string from_hex(std::string_view hex) {
  std::string out;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    out += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
  }
  return out;
}

std::string to_hex(BytesView bytes) {
  std::string out;
  char digits[3];
  for (const std::byte byte : bytes.span()) {
    std::snprintf(digits, sizeof digits, "%02x", static_cast<unsigned>(byte));
    out += digits;
  }
  return out;
}

template <std::size_t n>
std::array<std::byte, n> counting(unsigned first) {
  std::array<std::byte, n> out{};
  for (std::size_t i = 0; i < n; ++i) out[i] = static_cast<std::byte>(first + i);
  return out;
}

/// A ring with the key 40 41 42 ... 5f, for the store 00 01 ... 0f.
KeyRing make_ring(std::uint8_t number = 1) {
  REQUIRE(sodium_ready());
  KeyRing ring(counting<16>(0), counting<8>(0xa0));
  const auto key = counting<32>(0x40);
  ring.add(number, reinterpret_cast<const unsigned char*>(key.data()));
  return ring;
}

std::string seal(const KeyRing& ring, const SealPlace& place, BytesView value) {
  std::string out(value.size() + KeyRing::overhead, '\0');
  ring.seal(place, value, reinterpret_cast<std::byte*>(out.data()));
  return out;
}

bool opens(const KeyRing& ring, const SealPlace& place, BytesView sealed, std::string* value = nullptr) {
  std::string out(sealed.size(), '\0');
  const bool right = ring.open(place, sealed, reinterpret_cast<std::byte*>(out.data()));
  if (right && value != nullptr) *value = out.substr(0, sealed.size() - KeyRing::overhead);
  return right;
}

}  // namespace

TEST_CASE("libsodium gives the published vector of XChaCha20-Poly1305") {
  REQUIRE(sodium_ready());
  // draft-irtf-cfrg-xchacha-03, appendix A.3.1.
  const std::string text =
      "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, "
      "sunscreen would be it.";
  const std::string data = from_hex("50515253c0c1c2c3c4c5c6c7");
  const auto key = counting<32>(0x80);
  const auto nonce = counting<24>(0x40);
  std::string out(text.size() + 16, '\0');
  const auto* const raw = [](const auto& bytes) {
    return reinterpret_cast<const unsigned char*>(bytes.data());
  }(text);
  crypto_aead_xchacha20poly1305_ietf_encrypt(
      reinterpret_cast<unsigned char*>(out.data()), nullptr, raw, text.size(),
      reinterpret_cast<const unsigned char*>(data.data()), data.size(), nullptr,
      reinterpret_cast<const unsigned char*>(nonce.data()),
      reinterpret_cast<const unsigned char*>(key.data()));
  CHECK(to_hex(out).substr(0, 64) ==
        "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb");
  CHECK(to_hex(out).substr(2 * text.size()) == "c0875924c1c7987947deafd8780acf49");
}

TEST_CASE("a record is opened only as it is, and only where it belongs") {
  const KeyRing ring = make_ring();
  const std::string value = patterned(64);
  const SealPlace place{7, "key", 1'700'000'000'000};
  const std::string sealed = seal(ring, place, value);
  REQUIRE(sealed.size() == value.size() + 42);
  std::string opened;
  REQUIRE(opens(ring, place, sealed, &opened));
  CHECK(opened == value);
  // Every bit.
  for (std::size_t bit = 0; bit < 8 * sealed.size(); ++bit) {
    std::string changed = sealed;
    changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ (1 << (bit % 8)));
    if (opens(ring, place, changed)) FAIL("bit " << bit);
  }
  for (std::size_t size = 0; size < sealed.size(); ++size) {
    if (opens(ring, place, std::string_view(sealed).substr(0, size))) FAIL("size " << size);
  }
  CHECK_FALSE(opens(ring, place, sealed + '\0'));
  // Another place.
  CHECK_FALSE(opens(ring, {8, "key", place.expires_at}, sealed));
  CHECK_FALSE(opens(ring, {7, "kez", place.expires_at}, sealed));
  CHECK_FALSE(opens(ring, {7, "keyx", place.expires_at}, sealed));
  CHECK_FALSE(opens(ring, {7, "ke", place.expires_at}, sealed));
  CHECK_FALSE(opens(ring, {7, "key", {}}, sealed));
  CHECK_FALSE(opens(ring, {7, "key", 1'700'000'000'001}, sealed));
  CHECK_FALSE(opens(ring, {7, "key", place.expires_at, SealPlace::Kind::large}, sealed));
  CHECK_FALSE(opens(ring, {7, "key", {}, SealPlace::Kind::chunk}, sealed));
  // No expiry is not the expiry 0.
  const std::string without = seal(ring, {7, "key", {}}, value);
  CHECK_FALSE(opens(ring, {7, "key", 0}, without));
  // A chunk: its number and the tag of its value.
  SealPlace chunk{7, "key", {}, SealPlace::Kind::chunk, counting<16>(1), 3};
  const std::string piece = seal(ring, chunk, value);
  CHECK(opens(ring, chunk, piece));
  ++chunk.index;
  CHECK_FALSE(opens(ring, chunk, piece));
  --chunk.index;
  chunk.tag[15] ^= std::byte{1};
  CHECK_FALSE(opens(ring, chunk, piece));
  // Another store, and another key under the same number.
  KeyRing store(counting<16>(1), counting<8>(0xa0));
  const auto key = counting<32>(0x40);
  store.add(1, reinterpret_cast<const unsigned char*>(key.data()));
  CHECK_FALSE(opens(store, place, sealed));
  KeyRing other(counting<16>(0), counting<8>(0xa0));
  const auto other_key = counting<32>(0x41);
  other.add(1, reinterpret_cast<const unsigned char*>(other_key.data()));
  CHECK_FALSE(opens(other, place, sealed));
}

TEST_CASE("values of every length are sealed, the empty one and those under long keys too") {
  const KeyRing ring = make_ring();
  for (const std::size_t key_size : {1, 100, 198, 199, 200, 201, 65536}) {
    const std::string key(key_size, 'k');
    for (const std::size_t size : {0, 1, 15, 16, 17, 63, 64, 65, 100'000}) {
      const std::string value = patterned(size);
      const SealPlace place{1, key, {}};
      std::string opened;
      REQUIRE(opens(ring, place, seal(ring, place, value), &opened));
      REQUIRE(opened == value);
    }
  }
}

TEST_CASE("the vectors of docs/encryption.md") {
  const KeyRing ring = make_ring();
  const auto vectors = std::ifstream(SNKV_SOURCE_DIR "/docs/encryption.md");
  REQUIRE(vectors);
  std::stringstream page;
  page << vectors.rdbuf();
  const std::string text = page.str();
  const auto after = [&](std::string_view mark) {
    const std::size_t at = text.find(mark);
    if (at == std::string::npos) FAIL("the page lacks: " << mark);
    const std::size_t begin = at + mark.size();
    std::string hex;
    for (std::size_t i = begin; i < text.size() && text[i] != '`' && text[i] != '|'; ++i) {
      if (std::isxdigit(static_cast<unsigned char>(text[i])) != 0) hex += text[i];
    }
    return from_hex(hex);
  };
  std::string value;
  CHECK(opens(ring, {1, "token", {}}, after("sealed without expiry:\n\n```\n"), &value));
  CHECK(value == "xyz");
  CHECK(opens(ring, {1, "token", 1'700'001'800'000}, after("sealed with expiry:\n\n```\n"), &value));
  CHECK(value == "xyz");
  const SealPlace chunk{1, "big", {}, SealPlace::Kind::chunk, counting<16>(0xb0), 2};
  CHECK(opens(ring, chunk, after("sealed chunk:\n\n```\n"), &value));
  CHECK(value == "chunk");
  // The tags of names: what is in front of them is their version.
  const auto tag = [&](BytesView what) { return "\1" + BytesView(ring.name_tag(what)).str(); };
  const std::string store_id = BytesView(counting<16>(0)).str();
  CHECK(tag("snkvname" + store_id + from_hex("0000000200000008") + "accounts") ==
        after("with the name `accounts`:\n\n```\n"));
  CHECK(tag("snkvnext" + store_id + from_hex("0000000000000003")) ==
        after("for the number 3:\n\n```\n"));
  // The header: key 60 61 ... 7f opens it.
  const std::string header = after("a header:\n\n```\n");
  KeyHeader opened;
  const auto secret = counting<32>(0x60);
  Error error = opened.open("test", header, Secret::key(secret), {});
  INFO(error.message());
  REQUIRE_FALSE(error.failed());
  CHECK(opened.store() == counting<16>(0));
  CHECK(opens(*opened.ring(), {1, "token", {}}, after("sealed without expiry:\n\n```\n"), &value));
  // And one that a password opens.
  KeyHeader typed;
  error = typed.open("test", after("a header with a password:\n\n```\n"),
                     Secret::password("correct horse"), {});
  INFO(error.message());
  REQUIRE_FALSE(error.failed());
  CHECK(opens(*typed.ring(), {1, "token", {}}, after("sealed without expiry:\n\n```\n"), &value));
}

namespace {

/// How the secret becomes a key, as the header has it.
struct Derivation {
  const char* fields;  ///< number, flags and zeros, passes, bytes of memory, in hexadecimal digits
  std::array<std::byte, 32> key{};
};

/// A header by the description of the format alone, for the store of `make_ring` and its data key.
std::string handmade_header(const Derivation& derivation) {
  const auto data_key = counting<32>(0x40);
  const auto raw = [](const auto& bytes) {
    return reinterpret_cast<const unsigned char*>(bytes.data());
  };
  std::array<unsigned char, 32> wrap{};
  std::array<unsigned char, 32> check_key{};
  crypto_kdf_derive_from_key(wrap.data(), wrap.size(), 1, "snkvwrap", raw(derivation.key));
  crypto_kdf_derive_from_key(check_key.data(), check_key.size(), 2, "snkvwrap", raw(derivation.key));
  std::string header = "snkvkeys" + from_hex("0101") + from_hex(derivation.fields);
  for (int i = 0; i < 16; ++i) header += static_cast<char>(0xd0 + i);  // salt
  for (int i = 0; i < 16; ++i) header += static_cast<char>(i);         // store
  for (int i = 0; i < 8; ++i) header += static_cast<char>(0xa0 + i);   // generation
  std::string check(32, '\0');
  crypto_generichash(reinterpret_cast<unsigned char*>(check.data()), check.size(), raw(header),
                     header.size(), check_key.data(), check_key.size());
  header += check + from_hex("0101");
  const auto nonce = counting<24>(0xe0);
  std::string wrapped(48, '\0');
  crypto_aead_xchacha20poly1305_ietf_encrypt(
      reinterpret_cast<unsigned char*>(wrapped.data()), nullptr, raw(data_key), data_key.size(),
      raw(header), header.size(), nullptr, raw(nonce), wrap.data());
  return header + std::string(reinterpret_cast<const char*>(nonce.data()), nonce.size()) + wrapped;
}

/// For the raw key 60 61 ... 7f.
Derivation of_key() {
  return {"000000000000" "0000000000000000" "0000000000000000", counting<32>(0x60)};
}

/// For the password "correct horse", with 2 passes and 19 MiB.
Derivation of_password() {
  Derivation out{"010000000000" "0000000000000002" "0000000001300000"};
  const auto salt = counting<16>(0xd0);
  REQUIRE(crypto_pwhash(reinterpret_cast<unsigned char*>(out.key.data()), out.key.size(),
                        "correct horse", 13, reinterpret_cast<const unsigned char*>(salt.data()), 2,
                        19u << 20, crypto_pwhash_ALG_ARGON2ID13) == 0);
  return out;
}

}  // namespace

// Makes them; not run by itself.
TEST_CASE("print vectors", "[.vectors]") {
  const KeyRing ring = make_ring();
  const SealPlace chunk{1, "big", {}, SealPlace::Kind::chunk, counting<16>(0xb0), 2};
  std::printf("without %s\n", to_hex(seal(ring, {1, "token", {}}, "xyz")).c_str());
  std::printf("with %s\n", to_hex(seal(ring, {1, "token", 1'700'001'800'000}, "xyz")).c_str());
  std::printf("chunk %s\n", to_hex(seal(ring, chunk, "chunk")).c_str());
  std::printf("header %s\n", to_hex(handmade_header(of_key())).c_str());
  std::printf("header with a password %s\n", to_hex(handmade_header(of_password())).c_str());
}

TEST_CASE("every bit of a header counts") {
  REQUIRE(sodium_ready());
  const Secret secret = Secret::key(counting<32>(0x60));
  KeyHeader made;
  REQUIRE_FALSE(made.make("test", secret, {}, counting<16>(0)).failed());
  for (int keys = 1; keys <= 2; ++keys) {
    const Bytes header = made.encode();
    REQUIRE(header.size() == 105u + 73u * static_cast<unsigned>(keys));
    KeyHeader opened;
    REQUIRE_FALSE(opened.open("test", header, secret, {}).failed());
    for (std::size_t bit = 0; bit < 8 * header.size(); ++bit) {
      Bytes changed(header);
      changed.data()[bit / 8] ^= static_cast<std::byte>(1 << (bit % 8));
      KeyHeader victim;
      const Error error = victim.open("test", changed, secret, {});
      if (!error.failed()) FAIL("bit " << bit);
    }
    for (std::size_t size = 0; size < header.size(); ++size) {
      KeyHeader victim;
      const Error error = victim.open("test", BytesView(header.data(), size), secret, {});
      if (!(error == Errc::corrupt)) FAIL("size " << size);
    }
    made.add_key();
  }
  // The two keys in the other order.
  Bytes header = [&] {
    KeyHeader two;
    REQUIRE_FALSE(two.make("test", secret, {}, counting<16>(0)).failed());
    two.add_key();
    return two.encode();
  }();
  std::swap_ranges(header.data() + 105, header.data() + 105 + 73, header.data() + 105 + 73);
  KeyHeader victim;
  CHECK(victim.open("test", header, secret, {}) == Errc::tampered);
}

TEST_CASE("a ring with two keys seals with the first and opens what either sealed") {
  const KeyRing old = make_ring(5);
  KeyRing both(counting<16>(0), counting<8>(1));
  const auto next = counting<32>(0x90);
  const auto key = counting<32>(0x40);
  both.add(6, reinterpret_cast<const unsigned char*>(next.data()));
  both.add(5, reinterpret_cast<const unsigned char*>(key.data()));
  const SealPlace place{1, "key", {}};
  const std::string before = seal(old, place, "value");
  const std::string after = seal(both, place, "value");
  CHECK(opens(both, place, before));
  CHECK(opens(both, place, after));
  CHECK_FALSE(opens(old, place, after));
  CHECK(both.is_current(after));
  CHECK_FALSE(both.is_current(before));
  CHECK_FALSE(both.is_current(""));
}

TEST_CASE("a million nonces are all different, of threads and forked children too") {
  const KeyRing ring = make_ring();
  constexpr std::size_t threads = 4;
  constexpr std::size_t each = 250'000;
  using Nonce = std::array<char, 24>;
  std::vector<Nonce> nonces(threads * each);
  const auto fill = [&](Nonce* out, std::size_t count) {
    const SealPlace place{1, "key", {}};
    std::array<std::byte, KeyRing::overhead> sealed;
    for (std::size_t i = 0; i < count; ++i) {
      ring.seal(place, {}, sealed.data());
      std::memcpy(out[i].data(), sealed.data() + 2, out[i].size());
    }
  };
  std::vector<std::thread> running;
  for (std::size_t t = 0; t < threads; ++t) {
    running.emplace_back([&, t] { fill(nonces.data() + t * each, each); });
  }
  for (std::thread& thread : running) thread.join();
  constexpr std::size_t of_child = 1000;
  std::vector<Nonce> mine(of_child);
  const std::string report = in_child([&] {
    std::vector<Nonce> child(of_child);
    fill(child.data(), child.size());
    return std::string(child.data()->data(), child.size() * sizeof(Nonce));
  });
  fill(mine.data(), mine.size());
  REQUIRE(report.size() == of_child * sizeof(Nonce));
  nonces.insert(nonces.end(), mine.begin(), mine.end());
  for (std::size_t i = 0; i < of_child; ++i) {
    Nonce nonce;
    std::memcpy(nonce.data(), report.data() + i * nonce.size(), nonce.size());
    nonces.push_back(nonce);
  }
  std::sort(nonces.begin(), nonces.end());
  CHECK(std::adjacent_find(nonces.begin(), nonces.end()) == nonces.end());
}

// ---- Keys in memory ----

namespace {

/// One part of the address space.
struct Mapping {
  std::uintptr_t begin = 0;
  std::uintptr_t end = 0;
  bool dumped = true;  ///< It would be in a core dump.
};

std::vector<Mapping> writable_memory() {
  std::vector<Mapping> out;
  std::ifstream maps("/proc/self/smaps");
  bool wanted = false;
  for (std::string line; std::getline(maps, line);) {
    unsigned long begin = 0;
    unsigned long end = 0;
    char permissions[5] = {};
    if (std::sscanf(line.c_str(), "%lx-%lx %4s", &begin, &end, permissions) == 3) {
      wanted = permissions[0] == 'r' && permissions[1] == 'w';
      if (wanted) out.push_back({begin, end});
    } else if (wanted && line.starts_with("VmFlags:")) {
      out.back().dumped = line.find(" dd") == std::string::npos;
    }
  }
  return out;
}

/// How often the bytes, given inverted so that the search does not find itself, are in memory.
struct Sightings {
  int dumped = 0;
  int locked = 0;
};

Sightings look_for(const std::vector<unsigned char>& inverted) {
  Sightings out;
  std::FILE* memory = std::fopen("/proc/self/mem", "rb");
  if (memory == nullptr) return out;
  std::setvbuf(memory, nullptr, _IONBF, 0);
  std::vector<unsigned char> buffer(1 << 20);
  for (const Mapping& mapping : writable_memory()) {
    for (std::uintptr_t at = mapping.begin; at < mapping.end;) {
      const std::size_t amount = std::min<std::size_t>(buffer.size(), mapping.end - at);
      if (std::fseek(memory, static_cast<long>(at), SEEK_SET) != 0) break;
      const std::size_t got = std::fread(buffer.data(), 1, amount, memory);
      if (got < inverted.size()) break;
      for (std::size_t i = 0; i + inverted.size() <= got; ++i) {
        std::size_t same = 0;
        while (same < inverted.size() &&
               buffer[i + same] == static_cast<unsigned char>(~inverted[same])) {
          ++same;
        }
        if (same == inverted.size()) ++(mapping.dumped ? out.dumped : out.locked);
      }
      if (got < amount || amount < buffer.size()) break;
      at += amount - inverted.size();
    }
  }
  sodium_memzero(buffer.data(), buffer.size());
  std::fclose(memory);
  return out;
}

std::vector<unsigned char> random_inverted(std::size_t size) {
  std::vector<unsigned char> out(size);
  randombytes_buf(out.data(), out.size());
  return out;
}

Secret secret_of(const std::vector<unsigned char>& inverted) {
  std::array<unsigned char, 32> key{};
  for (std::size_t i = 0; i < key.size(); ++i) key[i] = static_cast<unsigned char>(~inverted[i]);
  Secret secret = Secret::key(key);
  sodium_memzero(key.data(), key.size());
  return secret;
}

}  // namespace

TEST_CASE("a secret is in locked memory only, and nowhere after its end") {
  if (memory_is_sanitized) return;  // which has memory of its own, and keeps what was freed
  REQUIRE(sodium_ready());
  const TempDir dir;
  const auto inverted = random_inverted(32);
  {
    const Secret secret = secret_of(inverted);
    Sightings seen = look_for(inverted);
    CHECK(seen.locked == 1);
    CHECK(seen.dumped == 0);
    Store store = must(Store::open_encrypted(dir.file("a.db"), secret));
    must(store.put("key", "value"));
    REQUIRE_ERRC(store.change_password(Secret::key(std::string(32, 'x')), secret), Errc::auth_failed);
    seen = look_for(inverted);
    CHECK(seen.locked == 1);  // the store keeps no copy of it
    CHECK(seen.dumped == 0);
  }
  const Sightings seen = look_for(inverted);
  CHECK(seen.locked == 0);
  CHECK(seen.dumped == 0);
}

TEST_CASE("data keys are in locked memory only, and nowhere when the store is closed") {
  if (memory_is_sanitized) return;
  REQUIRE(sodium_ready());
  const TempDir dir;
  const std::string path = dir.file("a.db");
  const Secret secret = Secret::key(std::string(32, 'k'));
  std::vector<unsigned char> inverted(32);
  {
    Store store = must(Store::open_encrypted(path, secret));
    must(store.put("key", "value"));
    // The subkey for side files is one that can be asked for.
    const auto ring = facade::Door::target(store).store->cipher->latest();
    for (std::size_t i = 0; i < inverted.size(); ++i) {
      inverted[i] = static_cast<unsigned char>(~ring->side_key()[i]);
    }
    const Sightings seen = look_for(inverted);
    CHECK(seen.locked >= 1);
    CHECK(seen.dumped == 0);
  }
  CHECK(look_for(inverted).locked == 0);
  CHECK(look_for(inverted).dumped == 0);
  // Failing to open leaves nothing either.
  REQUIRE_ERRC(Store::open_encrypted(path, Secret::key(std::string(32, 'x'))), Errc::auth_failed);
  CHECK(look_for(inverted).locked == 0);
  CHECK(look_for(inverted).dumped == 0);
}
