// Goal: outside of src/posix nothing can reach the outside world but through the seam, and nothing
// there depends on more than its inputs. Method: names that would do so are searched in the code of
// every file, comments and literals left out. What has to be there all the same is listed with its
// reason, and a listed exception that is gone fails too.
#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>
#include <regex>

#include "tidy/support/tree.h"

namespace taffrail::tidy {
namespace {

struct Ban {
  const char* name;
  const char* hints;  ///< One of these words is on the line where a match begins.
  const char* pattern;
  const char* instead;
};

constexpr Ban kBans[] = {
    {"clock", "chrono clock_gettime gettimeofday std::time ctime time.h",
     R"(std::chrono|\bclock_gettime\b|\bgettimeofday\b|\bstd::time\(|#include <(chrono|ctime|time\.h|sys/time\.h)>)",
     "Runtime::now() and wall_now()"},
    {"thread", "thread async future",
     R"(\bstd::j?thread\b|\bstd::async\b|\bpthread_|\bstd::this_thread\b|\bthread_local\b|#include <(thread|future|pthread\.h)>)",
     "Runtime::spawn()"},
    {"lock", "mutex lock condition_variable call_once latch barrier semaphore stop_token",
     R"(\bstd::(recursive_|shared_|timed_)?mutex\b|\bstd::(lock_guard|unique_lock|scoped_lock|shared_lock|condition_variable|call_once|latch|barrier|counting_semaphore)\b|#include <(mutex|shared_mutex|condition_variable|semaphore|latch|barrier|stop_token)>)",
     "runtime/sync.h"},
    {"atomic", "atomic", R"(\bstd::atomic\w*\b|#include <atomic>)",
     "nothing: a shard has one thread"},
    {"entropy", "random mt19937 distribution shuffle sample rand entropy",
     R"(\brandom_device\b|\bstd::(mt19937(_64)?|\w+_distribution|shuffle|sample)\b|\bstd::ranges::(shuffle|sample)\b|\bs?rand\(|\bgetrandom\b|\bgetentropy\b|#include <random>)",
     "Runtime::random(): the standard library's generators differ between libraries"},
    {"environment", "env locale",
     R"(\bgetenv\b|\bsetenv\b|\benviron\b|\bstd::locale\b|\bsetlocale\b)",
     "runtime/host.h, for the command line"},
    {"file",
     "::open ::read ::write ::pread ::pwrite ::fsync ::fdatasync ::unlink ::rename ::mkdir fopen "
     "fstream filesystem fcntl unistd dirent sys/stat",
     R"((^|[^\w:>.])::(open|openat|read|write|pread|pwrite|fsync|fdatasync|unlink|rename|mkdir)\(|\bfopen\b|\bstd::(i|o)?fstream\b|\bstd::filesystem\b|#include <(fstream|filesystem|fcntl\.h|unistd\.h|dirent\.h|sys/stat\.h)>)",
     "Runtime::disk()"},
    {"memory map", "mmap mman", R"(\bmmap\(|#include <sys/mman\.h>)", "ordinary memory"},
    {"socket",
     "::bind ::accept ::connect ::poll ::select socket epoll eventfd sys/uio netinet arpa netdb "
     "poll.h",
     R"((^|[^\w:>.])(::(bind|accept4?|connect|poll|select)|(::)?(socket|epoll_\w+))\(|#include <(sys/(socket|epoll|eventfd|uio|select)\.h|netinet/.*|arpa/.*|netdb\.h|poll\.h)>)",
     "Runtime::net()"},
    {"process", "fork exec popen std::system ::system ::kill sigaction signal spawn.h",
     R"((^|[^\w:>.])::(system|kill)\(|\b(fork|execvp?e?|popen|sigaction)\(|\bstd::system\b|#include <(csignal|signal\.h|spawn\.h)>)",
     "runtime/host.h, for the command line"},
    {"unordered container", "unordered_ std::hash",
     R"(\bunordered_(multi)?(map|set)\b|\bstd::hash\b)",
     "std::map: the order of a hash table is seen sooner or later"},
    {"address as a value", "intptr_t fmt::ptr",
     R"(\breinterpret_cast<\s*(std::)?u?intptr_t\s*>|\bfmt::ptr\b)", "an id"},
    {"mutable static", "static",
     R"(^\s*static\s+(?!const\b|constexpr\b|inline\b|_assert)[\w:<>,\s*&]+\s[\w]+\s*(=[^;]*|\{[^;]*\})?;)",
     "a member"},
    {"floating point", "double float", R"(\b(double|float)\b)",
     "whole numbers: rounding differs between machines"},
    {"exception", "throw catch", R"(\bthrow\b|\bcatch\s*\()", "Result<T>"},
    {"assert", "assert(", R"(\bassert\()", "CHECK, which is on in production"},
    {"output", "cout cerr clog printf fputs fwrite fmt::print",
     R"(\bstd::(cout|cerr|clog)\b|\bprintf\(|\bfprintf\(|\bfputs\(|\bfwrite\(|\bfmt::print\()",
     "Runtime::log(), or cli/out.h"},
};

std::vector<Match> find_ban(const Ban& ban, std::string_view code) {
  return find_matches(code, std::regex(ban.pattern, std::regex::optimize), ban.hints);
}
const Ban& ban_of(std::string_view name) {
  return *std::find_if(std::begin(kBans), std::end(kBans),
                       [&](const Ban& b) { return name == b.name; });
}

struct Exception {
  const char* path;
  const char* ban;
  const char* because;
};

constexpr Exception kExceptions[] = {
    {"src/base/bytes.h", "atomic",
     "<atomic> for the owners of a slice, which the disk's threads and other shards may be"},
    {"src/base/bytes.cc", "atomic", "the same"},
    {"src/runtime/fiber.cc", "memory map", "the guarded stacks of fibers"},
    {"src/runtime/fiber.cc", "file", "<unistd.h> for the size of a page"},
    {"src/runtime/scheduler.cc", "exception",
     "FiberUnwind is how a crash of a simulated node unwinds stacks; a stray exception is turned "
     "into a crash"},
    {"src/main.cc", "exception", "the last place where a third party's exception can be named"},
    {"src/cli/app.cc", "exception", "CLI11 tells by exceptions what was wrong with a command line"},
    {"src/cli/run.cc", "output",
     "what help and usage errors print before there is a world to print in"},
    {"src/base/check.cc", "output", "a failed CHECK has nobody else to tell"},
    {"sim/world.cc", "output", "as base/check.cc, with the seed behind it"},
    {"sim/world.cc", "thread",
     "thread_local: the world a failing CHECK happened in; nothing else reads it"},
    {"src/base/plant.cc", "mutable static", "which bug is planted; only in builds with plants"},
    {"src/partition/topic_config.cc", "floating point",
     "min.cleanable.dirty.ratio is a fraction in Kafka; range-checked, decides nothing"},
    {"src/protocol/walks.h", "floating point",
     "Kafka's wire format has a float64 (quotas); carried, not computed with"},
    {"src/protocol/wire.h", "floating point", "the same: its printer"},
    {"src/protocol/wire.cc", "floating point", "the same: its printer"},
    {"src/protocol/alter_client_quotas.h", "floating point", "the same: the value of a quota"},
    {"src/protocol/describe_client_quotas.h", "floating point", "the same"},
    {"src/controller/commands.h", "floating point", "the same, on its way to group 0"},
    {"src/controller/command_wire.cc", "floating point", "the same: its bits"},
    {"src/controller/cluster_settings.h", "floating point", "the same, kept"},
    {"src/controller/cluster_settings.cc", "floating point", "the same: its bits"},
    {"src/broker/quotas.cc", "floating point", "the same, where it becomes a whole number: one product, which -ffp-contract=off leaves to IEEE 754"},
    {"sim/leaks.cc", "unordered container", "planted leaks of determinism, which must be caught"},
    {"sim/leaks.cc", "address as a value", "planted leaks of determinism, which must be caught"},
};

// Where the seam is obeyed: everything but the real world, the tests and the tools beside the tree.
bool obeys_the_seam(const std::string& path) {
  return Tree::get().library_of(path) != nullptr ? !path.starts_with("src/posix/")
                                                 : path == "src/main.cc";
}

TEST(Banned, NothingReachesPastTheSeam) {
  std::set<std::pair<std::string, std::string>> used;
  for (const Ban& ban : kBans) {
    const std::regex pattern(ban.pattern, std::regex::optimize);
    for (const auto& [path, file] : Tree::get().sources()) {
      if (!obeys_the_seam(path)) continue;
      bool excepted = false;
      for (const Exception& e : kExceptions)
        if (path == e.path && std::string_view(ban.name) == e.ban) excepted = true;
      for (const Match& match : find_matches(file.code, pattern, ban.hints)) {
        if (excepted) {
          used.insert({path, ban.name});
          continue;
        }
        ADD_FAILURE() << path << ":" << line_of(file.code, match.position + match.text.size() - 1)
                      << ": " << ban.name << " (" << match.text << "); instead: " << ban.instead;
      }
    }
  }
  for (const Exception& e : kExceptions)
    EXPECT_TRUE(used.contains({e.path, e.ban}))
        << "no longer needed: " << e.path << ", " << e.ban << ": " << e.because;
}

TEST(Banned, EveryPatternFindsWhatItIsFor) {
  // At least one for each hint: a hint that is missing would hide what its pattern finds.
  const std::pair<const char*, std::vector<const char*>> samples[] = {
      {"clock",
       {"auto t = std::chrono::steady_clock::now();", "clock_gettime(0, &t)", "gettimeofday(&t)",
        "std::time(nullptr)", "#include <ctime>", "#include <sys/time.h>"}},
      {"thread",
       {"thread_local int x;", "std::jthread t;", "std::async(f)", "pthread_create(",
        "std::this_thread::yield()", "#include <future>"}},
      {"lock",
       {"std::mutex m;", "std::lock_guard l(m);", "std::shared_lock l(m);",
        "std::condition_variable c;", "std::call_once(f)", "std::latch l(1);", "std::barrier b(1);",
        "std::counting_semaphore<1> s;", "#include <stop_token>"}},
      {"atomic", {"std::atomic<int> n;", "std::atomic_flag f;", "#include <atomic>"}},
      {"entropy",
       {"std::shuffle(a, b, g);", "std::random_device d;", "std::mt19937_64 g;",
        "std::uniform_int_distribution<int> d;", "std::sample(a)", "x = rand();", "getrandom(b)",
        "getentropy(b)", "#include <random>"}},
      {"environment", {"getenv(\"HOME\")", "environ", "std::locale l;", "setlocale(0)"}},
      {"file",
       {" ::open(p, 0)", " ::read(f)", " ::write(f)", " ::pread(f)", " ::pwrite(f)", " ::fsync(f)",
        " ::fdatasync(f)", " ::unlink(p)", " ::rename(p)", " ::mkdir(p)", "fopen(p)",
        "std::ifstream f;", "std::filesystem::path p;", "#include <unistd.h>", "#include <fcntl.h>",
        "#include <dirent.h>", "#include <sys/stat.h>"}},
      {"memory map", {"mmap(0, n)", "#include <sys/mman.h>"}},
      {"socket",
       {" socket(AF_INET, 0)", " ::bind(f)", " ::accept4(f)", " ::connect(f)", " ::poll(f)",
        " ::select(f)", " epoll_wait(e)", "#include <netdb.h>", "#include <sys/eventfd.h>",
        "#include <sys/uio.h>", "#include <netinet/in.h>", "#include <arpa/inet.h>",
        "#include <poll.h>"}},
      {"process",
       {" fork()", " execvp(a)", " std::system(c)", " ::system(c)", " popen(c)", " ::kill(1, 9)",
        "sigaction(1)", "#include <csignal>", "#include <spawn.h>"}},
      {"unordered container", {"std::unordered_map<int, int> m;", "std::hash<int>()"}},
      {"address as a value", {"reinterpret_cast<uintptr_t>(p)", "fmt::ptr(p)"}},
      {"mutable static", {"\n  static std::string id;", "int a;\n  static int n = 0;"}},
      {"floating point", {"double x = 1;", "float y;"}},
      {"exception", {"throw Oops{};", "} catch (...) {"}},
      {"assert", {" assert(x)"}},
      {"output",
       {"fmt::print(\"\")", "std::cout << 1", "std::cerr << 1", "std::clog << 1", "printf(a)",
        "fputs(a)", "fwrite(a)"}},
  };
  EXPECT_EQ(std::size(samples), std::size(kBans));
  for (const auto& [name, texts] : samples)
    for (const char* text : texts)
      EXPECT_FALSE(find_ban(ban_of(name), text).empty()) << name << ": " << text;
}

TEST(Banned, WhatOnlyLooksAlikeIsAllowed) {
  EXPECT_TRUE(find_ban(ban_of("socket"), "server->bind(task, at)").empty())
      << "a member of that name is not the call";
  EXPECT_TRUE(
      find_ban(ban_of("process"), "world_.kill(node); process->kill(); bool operand(int)").empty());
  EXPECT_TRUE(
      find_ban(ban_of("mutable static"), "  static const int n = 1;\n  static constexpr int m = 1;")
          .empty());
  EXPECT_TRUE(find_ban(ban_of("assert"), "static_assert(true)").empty());
  EXPECT_TRUE(find_ban(ban_of("clock"), "Duration timeout; Instant time;").empty());
}

TEST(Banned, CommentsAndLiteralsAreNotCode) {
  EXPECT_EQ(without_comments("a // b\nc /* d\n e */ f"), "a     \nc     \n      f");
  EXPECT_EQ(without_comments(R"(x = "// y"; z)"), R"(x = "    "; z)");
  EXPECT_EQ(without_comments("n = 1'000'000; c = 'x'; d"), "n = 1'000'000; c = ' '; d");
  EXPECT_EQ(without_comments("s = \"a\\\"b\"; t"), "s = \"    \"; t");
  EXPECT_EQ(without_comments("r = R\"(\" // )\"; t").substr(14), "; t");
}

TEST(Banned, NoTestSleeps) {
  const std::regex sleeping(
      R"(\bstd::this_thread::sleep|\busleep\(|\bnanosleep\(|(^|[^\w:.>])(::)?sleep\()");
  for (const auto& [path, file] : Tree::get().sources()) {
    if (!path.starts_with("tests/")) continue;
    EXPECT_TRUE(find_matches(file.code, sleeping, "sleep").empty()) << path;
  }
}

}  // namespace
}  // namespace taffrail::tidy
