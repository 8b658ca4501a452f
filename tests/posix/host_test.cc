// Goal: the process is what host.h says. Method: the host of a node in this process; its standard
// streams are swapped for pipes and files, its children are the usual small programs.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <filesystem>

#include "posix/support/world.h"
#include "support/tree_paths.h"

namespace taffrail::posix {
namespace {

// While it lives `fd` is another open file.
class Swapped {
 public:
  Swapped(int fd, const Fd& with) : fd_(fd), saved_(dup(fd)) { dup2(with.get(), fd_); }
  ~Swapped() { dup2(saved_.get(), fd_); }

 private:
  int fd_;
  Fd saved_;
};

struct Pipe {
  Fd read;
  Fd write;
  Pipe() {
    int ends[2] = {-1, -1};
    EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
    read = Fd(ends[0]);
    write = Fd(ends[1]);
  }
};

void put(const Fd& fd, std::string_view text) {
  EXPECT_EQ(::write(fd.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
}

TEST(Host, InputComesByLines) {
  Pipe pipe;
  const Swapped input(STDIN_FILENO, pipe.read);
  TestWorld().run([&](Task& task, Shard& shard) {
    LineReader lines(shard.host);
    Scope scope;
    // A line in pieces, while its reader waits.
    shard.runtime.spawn(scope, "typist", [&](Task& inner) {
      for (const char* piece : {"fir", "st\nsec", "ond\n\n", "la"}) {
        put(pipe.write, piece);
        shard.runtime.scheduler().yield(inner);
      }
      put(pipe.write, "st");
      pipe.write.reset();
    });
    for (const char* want : {"first", "second", "", "last"}) {
      const auto line = lines.next(task);
      ASSERT_TRUE(line.has_value() && line->has_value());
      EXPECT_EQ(**line, want);
    }
    const auto end = lines.next(task);
    EXPECT_TRUE(end.has_value() && !end->has_value());
    scope.join(task);
  });
}

TEST(Host, AnEndlessLineIsTooLarge) {
  TemporaryDirectory directory(tests::binary_dir() + "/tmp");
  Fd file(open((directory.path() + "/in").c_str(), O_RDWR | O_CREAT, 0600));
  put(file, std::string(5000, 'x'));
  lseek(file.get(), 0, SEEK_SET);
  const Swapped input(STDIN_FILENO, file);
  TestWorld().run([&](Task& task, Shard& shard) {
    LineReader lines(shard.host, 1000);
    EXPECT_EQ(lines.next(task).error().code, Errc::kTooLarge);
  });
}

TEST(Host, WaitingForInputCanBeCancelledAndTimed) {
  Pipe pipe;
  const Swapped input(STDIN_FILENO, pipe.read);
  TestWorld().run([&](Task& task, Shard& shard) {
    std::vector<uint8_t> into(10);
    EXPECT_EQ(shard.host.read_input(task, into, shard.runtime.now() + 2_ms).error().code,
              Errc::kTimedOut);
    Scope scope;
    shard.runtime.spawn(scope, "reader", [&](Task& inner) {
      EXPECT_EQ(shard.host.read_input(inner, into).error().code, Errc::kCancelled);
    });
    shard.runtime.scheduler().yield(task);
    scope.cancel();
    scope.join(task);
    put(pipe.write, "x");
    EXPECT_EQ(shard.host.read_input(task, into).value_or(0), 1u);
  });
}

TEST(Host, OutputWaitsForItsReader) {
  Pipe pipe;
  std::string got;
  const std::string want(300'000, 'x');  // More than a pipe holds.
  // Both ends are on one thread here: a reader that blocked would keep the writer from its turn.
  fcntl(pipe.read.get(), F_SETFL, O_NONBLOCK);
  {
    const Swapped output(STDOUT_FILENO, pipe.write);
    TestWorld().run([&](Task& task, Shard& shard) {
      Scope scope;
      shard.runtime.spawn(scope, "writer", [&](Task& inner) {
        EXPECT_TRUE(shard.host.write(inner, Stream::kOutput, want).has_value());
      });
      while (got.size() < want.size()) {
        shard.runtime.scheduler().yield(task);
        char buffer[8192];
        const ssize_t n = ::read(pipe.read.get(), buffer, sizeof buffer);
        if (n > 0) got.append(buffer, static_cast<size_t>(n));
      }
      scope.join(task);
    });
  }
  EXPECT_TRUE(got == want);
}

TEST(Host, OutputWithoutAReaderIsClosed) {
  Pipe pipe;
  pipe.read.reset();
  const Swapped output(STDOUT_FILENO, pipe.write);
  TestWorld world;
  world.options.handle_signals = true;  // SIGPIPE among them.
  world.run([&](Task& task, Shard& shard) {
    EXPECT_EQ(shard.host.write(task, Stream::kOutput, "x").error().code, Errc::kClosed);
  });
}

TEST(Host, ChildrenRunAndEnd) {
  TestWorld world;
  const std::string out = world.directory.path() + "/out";
  world.run([&](Task& task, Shard& shard) {
    auto child =
        shard.host.start(task, {.arguments = {"sh", "-c", "echo $GREETING; pwd; cat; exit 7"},
                                .environment = {{"GREETING", "hello"}},
                                .output_file = out,
                                .directory = "/",
                                .input_ends_with_us = false,
                                .own_group = true});
    ASSERT_TRUE(child.has_value()) << child.error().text();
    const auto exit = (*child)->wait(task);
    ASSERT_TRUE(exit.has_value());
    EXPECT_EQ(*exit, (ProcessExit{.code = 7, .signal = 0}));
    EXPECT_EQ((*child)->send(Signal::kTerminate).error().code, Errc::kClosed);
    EXPECT_EQ(shard.host.read_whole_file(task, out, 100).value_or(""), "hello\n/\n");
  });
}

TEST(Host, ChildrenAreSignalled) {
  TestWorld().run([&](Task& task, Shard& shard) {
    auto child = shard.host.start(
        task,
        {.arguments = {"sleep", "1000"}, .environment = {}, .output_file = {}, .directory = {}});
    ASSERT_TRUE(child.has_value());
    EXPECT_FALSE((*child)->poll().has_value());
    EXPECT_EQ((*child)->wait(task, shard.runtime.now() + 2_ms).error().code, Errc::kTimedOut);
    EXPECT_TRUE((*child)->send(Signal::kPause).has_value());
    EXPECT_TRUE((*child)->send(Signal::kResume).has_value());
    EXPECT_TRUE((*child)->send(Signal::kKill).has_value());
    EXPECT_EQ((*child)->wait(task).value_or(ProcessExit{}), (ProcessExit{.code = -1, .signal = 9}));
  });
}

TEST(Host, AChildCanTellThatWeAreGone) {
  TestWorld().run([&](Task& task, Shard& shard) {
    auto child = shard.host.start(task, {.arguments = {"cat"},
                                         .environment = {},
                                         .output_file = "/dev/null",
                                         .directory = {},
                                         .input_ends_with_us = true,
                                         .own_group = true});
    ASSERT_TRUE(child.has_value());
    // It waits for an end of its input that does not come while we live.
    EXPECT_EQ((*child)->wait(task, shard.runtime.now() + 2_ms).error().code, Errc::kTimedOut);
    EXPECT_TRUE((*child)->send(Signal::kTerminate).has_value());
    EXPECT_TRUE((*child)->wait(task).has_value());
  });
}

TEST(Host, AMissingProgramIsNotFound) {
  TestWorld().run([&](Task& task, Shard& shard) {
    EXPECT_EQ(shard.host
                  .start(task, {.arguments = {"/no/such/program"},
                                .environment = {},
                                .output_file = {},
                                .directory = {}})
                  .error()
                  .code,
              Errc::kNotFound);
  });
}

TEST(Host, FilesAndTreesComeAndGo) {
  TestWorld world;
  const std::string base = world.directory.path();
  world.run([&](Task& task, Shard& shard) {
    Host& host = shard.host;
    EXPECT_TRUE(host.make_directories(task, base + "/a/b/c").has_value());
    EXPECT_TRUE(host.make_directories(task, base + "/a/b/c").has_value());
    EXPECT_TRUE(host.write_file_atomically(task, base + "/a/ready", "pid 1\n").has_value());
    EXPECT_TRUE(host.write_file_atomically(task, base + "/a/ready", "pid 2\n").has_value());
    EXPECT_EQ(host.read_whole_file(task, base + "/a/ready", 6).value_or(""), "pid 2\n");
    EXPECT_EQ(host.read_whole_file(task, base + "/a/ready", 5).error().code, Errc::kTooLarge);
    EXPECT_EQ(host.read_whole_file(task, base + "/no", 5).error().code, Errc::kNotFound);
    EXPECT_EQ(host.write_file_atomically(task, base + "/no/x", "").error().code, Errc::kNotFound);
    EXPECT_EQ(host.make_directories(task, base + "/a/ready/x").error().code, Errc::kIo);
    EXPECT_TRUE(host.path_exists(task, base + "/a/b").value_or(false));
    EXPECT_TRUE(host.remove_tree(task, base + "/a").has_value());
    EXPECT_TRUE(host.remove_tree(task, base + "/a").has_value());
    EXPECT_FALSE(host.path_exists(task, base + "/a").value_or(true));
    for (const char* refused : {"/", "", ".", "/..", "//"})
      EXPECT_EQ(host.remove_tree(task, refused).error().code, Errc::kInvalid) << refused;
    const auto temporary = host.make_temporary_directory(task, "taffrail-");
    ASSERT_TRUE(temporary.has_value());
    EXPECT_TRUE(std::filesystem::is_directory(*temporary));
    EXPECT_TRUE(host.remove_tree(task, *temporary).has_value());
  });
  // Nothing of the files that were written aside is left.
  EXPECT_TRUE(std::filesystem::is_empty(base));
}

TEST(Host, KnowsItself) {
  TestWorld world;
  world.options.arguments = {"serve", "--fast"};
  world.run([&](Task&, Shard& shard) {
    EXPECT_EQ(shard.host.arguments(), (std::vector<std::string>{"serve", "--fast"}));
    EXPECT_NE(shard.host.executable().find("posix_tests"), std::string::npos);
    EXPECT_EQ(shard.host.current_directory(), std::filesystem::current_path().string());
    EXPECT_EQ(shard.host.pid(), getpid());
    EXPECT_TRUE(shard.host.environment("PATH").has_value());
    EXPECT_FALSE(shard.host.environment("TAFFRAIL_NO_SUCH_VARIABLE").has_value());
    EXPECT_GT(shard.host.terminal_width(), 0u);
    EXPECT_EQ(shard.host.format_time({1'700'000'000'123}, Zone::kUtc), "2023-11-14 22:13:20.123Z");
    EXPECT_EQ(shard.host.format_time({-1}, Zone::kUtc), "1969-12-31 23:59:59.999Z");
    EXPECT_FALSE(shard.host.format_time({INT64_MIN}, Zone::kUtc).empty());
  });
}

}  // namespace
}  // namespace taffrail::posix
