// Two stores open on one file, in one process and in two. The story: in the library we replace,
// `A.get; B.put; A.put` broke handle A for ever, and before that A never saw what B committed. So
// every sequence of four steps out of ten is tried, and after each step both must agree.
//
//   two_handles_test [--steps N]
#include "process.hpp"

#include "support/encrypted.hpp"
#include "support/temp_dir.hpp"

#include <snkv/snkv.hpp>

#include <array>
#include <cstdio>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace {

using namespace snkv;
using namespace snkv::test;

struct FailedTest {
  std::string what;
};

/// What a step ends with, as text: the same in this process and through a pipe.
using Reply = std::string;

Reply reply_of(const Result<void>& result) { return result ? "ok" : result.error().message(); }

/// A store, and everything a sequence may do with it.
class Handle {
 public:
  virtual ~Handle() = default;
  /// "get", "scan", "put V", "transaction V", "undone V", "recreate", "family V", "count"
  virtual Reply run(const std::string& command) = 0;
};

class LocalHandle final : public Handle {
 public:
  LocalHandle(const std::string& path, Journal journal) {
    Options options;
    options.sync = Sync::off;
    options.journal = journal;
    auto opened = open_store(path, options);
    if (!opened) throw FailedTest{opened.error().message()};
    store_ = std::move(*opened);
  }

  Reply run(const std::string& command) override {
    const std::size_t space = std::min(command.find(' '), command.size());
    const std::string_view verb = std::string_view(command).substr(0, space);
    const std::string argument = space < command.size() ? command.substr(space + 1) : "";
    if (verb == "get") return get(store_);
    if (verb == "scan") return scan();
    if (verb == "put") return reply_of(store_.put("key", argument));
    if (verb == "transaction") return transaction(argument, true);
    if (verb == "undone") return transaction(argument, false);
    if (verb == "recreate") return recreate();
    if (verb == "family") return family_put(argument);
    if (verb == "family-get") return family_get();
    return "unknown command " + command;
  }

 private:
  static Reply get(const EntryReader& reader) {
    auto value = reader.get("key");
    if (value) return value->str();
    return value.error() == Errc::not_found ? "none" : value.error().message();
  }
  Reply scan() {
    Reply found = "none";
    auto range = store_.all();
    for (auto [key, value] : range) {
      if (key == BytesView("key")) found = value.str();
    }
    return range.status() ? found : range.status().error().message();
  }
  Reply transaction(const std::string& value, bool commit) {
    auto begun = store_.begin();
    if (!begun) return begun.error().message();
    auto written = begun->put("key", value);
    if (!written) return written.error().message();
    if (get(*begun) != value) return "the transaction does not see its own write";
    return reply_of(commit ? begun->commit() : begun->rollback());
  }
  Reply recreate() {
    auto dropped = store_.drop_column_family("family");
    if (!dropped && !(dropped.error() == Errc::not_found)) return dropped.error().message();
    auto other = store_.column_family("other");
    if (!other) return other.error().message();
    auto made = store_.create_column_family("family");
    return made ? "ok" : made.error().message();
  }
  // Handles of a family are kept across steps on purpose: they may be of one that was dropped.
  Reply family_put(const std::string& value) {
    for (int attempt = 0; attempt < 2; ++attempt) {
      auto opened = family_ ? Result<ColumnFamily>(*family_) : store_.column_family("family");
      if (!opened) return opened.error().message();
      family_ = *opened;
      auto written = family_->put("key", value);
      if (written || !(written.error() == Errc::dropped)) return reply_of(written);
      family_.reset();
    }
    return "a new handle is of a dropped family";
  }
  Reply family_get() {
    auto opened = store_.open_column_family("family");
    if (!opened) return opened.error() == Errc::not_found ? "none" : opened.error().message();
    const Reply fresh = get(*opened);
    if (family_) {
      auto kept = family_->get("key");
      if (kept && kept->str() != fresh) return "a kept handle shows " + kept->str();
      if (!kept && kept.error() == Errc::dropped) family_.reset();
    }
    return fresh;
  }

  Store store_;
  std::optional<ColumnFamily> family_;
};

/// The same in another process: one line there, one line back.
class RemoteHandle final : public Handle {
 public:
  RemoteHandle(const std::string& path, Journal journal) {
    child_ = Child({"--serve", path, journal == Journal::wal ? "wal" : "rollback"},
                   commands_.read_end(), replies_.write_end());
    commands_.close_read();
    replies_.close_write();
    const Reply ready = line();
    if (ready != "ready") throw FailedTest{"the other process: " + ready};
  }
  Reply run(const std::string& command) override {
    const std::string text = command + "\n";
    if (!write_all(commands_.write_end(), text.data(), text.size())) return "the child is gone";
    return line();
  }

 private:
  Reply line() {
    Reply text;
    char byte = 0;
    while (::read(replies_.read_end(), &byte, 1) == 1) {
      if (byte == '\n') return text;
      text += byte;
    }
    return "the child is gone";
  }
  Pipe commands_;
  Pipe replies_;
  Child child_;
};

int serve(const std::string& path, Journal journal) {
  const auto answer = [](Reply reply) {
    reply += '\n';
    return write_all(4, reply.data(), reply.size());
  };
  try {
    LocalHandle handle(path, journal);
    if (!answer("ready")) return 1;
    std::string command;
    char byte = 0;
    while (::read(3, &byte, 1) == 1) {
      if (byte != '\n') {
        command += byte;
        continue;
      }
      if (!answer(handle.run(command))) return 1;
      command.clear();
    }
  } catch (const FailedTest& failed) {
    (void)answer(failed.what);
    return 1;
  }
  return 0;
}

// ---- All sequences ----

constexpr std::array<std::string_view, 10> steps = {
    "A get",    "B get",      "A put",      "B put",    "A transaction",
    "B undone", "A recreate", "B recreate", "A family", "B family"};

class Sequences {
 public:
  Sequences(Handle& a, Handle& b) : a_(a), b_(b) {}

  void run_all(int length) {
    int total = 1;
    for (int i = 0; i < length; ++i) total *= static_cast<int>(steps.size());
    for (int code = 0; code < total; ++code) {
      history_.clear();
      int rest = code;
      for (int i = 0; i < length; ++i) {
        step(steps[static_cast<std::size_t>(rest) % steps.size()]);
        rest /= static_cast<int>(steps.size());
      }
      expect(a_, "A scan", value_);
      expect(b_, "B scan", value_);
      expect(a_, "A family-get", family_value_);
      expect(b_, "B family-get", family_value_);
    }
    std::printf("%d sequences of %d steps\n", total, length);
  }

 private:
  void step(std::string_view what) {
    const std::string verb(what.substr(2));
    Handle& actor = what[0] == 'A' ? a_ : b_;
    Handle& other = what[0] == 'A' ? b_ : a_;
    const std::string other_name = what[0] == 'A' ? "B" : "A";
    if (verb == "get") {
      expect(actor, std::string(what), value_);
      return;
    }
    const std::string written = "v" + std::to_string(++serial_);
    const bool takes_value = verb != "recreate";
    expect(actor, std::string(what) + (takes_value ? " " + written : ""), "ok");
    if (verb == "put" || verb == "transaction") value_ = written;
    if (verb == "recreate") family_value_ = "none";
    if (verb == "family") family_value_ = written;
    // At once, not only in the end. Not always, because a read may hide what a missing one breaks.
    if (serial_ % 2 == 0) expect(other, other_name + " get", value_);
  }

  void expect(Handle& handle, const std::string& step_with_name, const Reply& expected) {
    history_ += step_with_name + "; ";
    const Reply reply = handle.run(step_with_name.substr(2));
    if (reply != expected) {
      throw FailedTest{history_ + "got \"" + reply + "\", expected \"" + expected + "\""};
    }
  }

  Handle& a_;
  Handle& b_;
  std::string history_;
  std::string value_ = "none";
  std::string family_value_ = "none";
  std::uint64_t serial_ = 0;
};

void run(Journal journal, bool two_processes, int length) {
  const TempDir folder;
  const std::string path = folder.file("two.db");
  std::printf("%s, %s: ", journal == Journal::wal ? "wal" : "rollback",
              two_processes ? "two processes" : "one process");
  std::fflush(stdout);
  // The child is started before this process opens the file.
  std::unique_ptr<Handle> b;
  if (two_processes) b = std::make_unique<RemoteHandle>(path, journal);
  LocalHandle a(path, journal);
  if (!two_processes) b = std::make_unique<LocalHandle>(path, journal);
  Sequences(a, *b).run_all(length);
}

}  // namespace

int main(int argc, char* argv[]) {
  const std::string_view role = argc > 1 ? argv[1] : "";
  if (role == "--serve" && argc > 3) {
    return serve(argv[2], std::string_view(argv[3]) == "wal" ? Journal::wal : Journal::rollback);
  }
  const int length = role == "--steps" && argc > 2 ? std::atoi(argv[2]) : 4;
  prefer_memory_for_temporary_files();
  try {
    for (const Journal journal : {Journal::wal, Journal::rollback}) {
      for (const bool two_processes : {false, true}) run(journal, two_processes, length);
    }
  } catch (const FailedTest& failed) {
    std::fprintf(stderr, "\nFAILED: %s\n", failed.what.c_str());
    return 1;
  } catch (const std::exception& caught) {
    std::fprintf(stderr, "\nFAILED: %s\n", caught.what());
    return 1;
  }
  return 0;
}
