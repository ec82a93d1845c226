// The header that an encrypted store keeps its keys in.
#include "fuzz/fuzz.hpp"

#include "core/key_header.hpp"

namespace snkv::fuzz {
namespace {

const Secret& secret() {
  static const Secret key = Secret::key(std::string(Secret::key_size, 'k'));
  return key;
}

}  // namespace

std::vector<std::string> seeds() {
  std::vector<std::string> all;
  core::KeyHeader header;
  const core::KeyRing::StoreId store{};
  if (header.make("seed", secret(), {}, store).failed()) fail("no header");
  all.push_back(header.encode().str());
  header.add_key();
  header.bind_names();
  all.push_back(header.encode().str());
  return all;
}

void run(std::string_view input) {
  core::KeyRing::Generation generation;
  static_cast<void>(core::KeyHeader::generation_of(input, generation));
  core::KeyHeader header;
  const Error error = header.open("open", input, secret(), {.opslimit = 2, .memlimit = 1u << 20});
  if (error.failed()) {
    if (error.code() == Errc::internal) fail(error.message());
    return;
  }
  // What opens says the same when it is written again.
  core::KeyHeader again;
  if (again.open("open", header.encode(), secret(), {}).failed()) fail("a header that opened does not open again");
  if (again.key_count() != header.key_count() || again.store() != header.store()) fail("another header");
}

}  // namespace snkv::fuzz
