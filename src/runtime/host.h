// What a process has and a broker does not need: arguments, terminal, environment, child processes,
// files outside the data directory. For the command line only; a broker asks its Runtime.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/units.h"
#include "runtime/scheduler.h"

namespace taffrail {

enum class Stream : uint8_t { kInput, kOutput, kError };

enum class Signal : uint8_t {
  kInterrupt,  ///< As Ctrl-C.
  kTerminate,  ///< Please stop.
  kKill,       ///< Stops now, wherever it is.
  kPause,      ///< Stands still until kResume: a process that is alive and silent.
  kResume,
};

struct ProcessExit {
  int code = 0;    ///< What it returned; -1 if a signal ended it.
  int signal = 0;  ///< The number of that signal; 0 if it returned.
  bool operator==(const ProcessExit&) const = default;
};

struct ProcessOptions {
  std::vector<std::string>
      arguments;  ///< The first is the program: a path, or a name to be found in PATH.
  /// Added to this process's own environment, or replacing what is there.
  std::vector<std::pair<std::string, std::string>> environment;
  std::string
      output_file;  ///< Standard output and error are appended to it; empty: shared with ours.
  std::string directory;  ///< Where it starts; empty: where we are.
  /// Its standard input ends when this process goes, however it goes (even killed); else it is
  /// empty.
  bool input_ends_with_us = false;
  /// Ctrl-C in our terminal does not reach it: we pass on what we want it to know.
  bool own_group = true;
};

/// A child. It goes on when this object goes.
class Process {
 public:
  virtual ~Process() = default;
  virtual int64_t pid() const = 0;
  /// Errors: kClosed if it has ended.
  virtual Result<> send(Signal signal) = 0;
  /// Nothing while it runs.
  virtual std::optional<ProcessExit> poll() = 0;
  /// Until it has ended. Errors: kTimedOut, kCancelled.
  virtual Result<ProcessExit> wait(Task& task, Instant deadline = Instant::never()) = 0;
};

enum class Zone : uint8_t { kUtc, kLocal };

class Host {
 public:
  virtual ~Host() = default;

  /// Without the program's own name.
  virtual const std::vector<std::string>& arguments() const = 0;
  virtual std::optional<std::string> environment(const std::string& name) const = 0;
  /// Absolute path of the running program; empty if the system does not tell.
  virtual std::string executable() const = 0;
  virtual std::string current_directory() const = 0;
  virtual int64_t pid() const = 0;

  virtual bool is_terminal(Stream stream) const = 0;
  /// Columns of the terminal that output goes to; 80 if it is none.
  virtual uint32_t terminal_width() const = 0;
  /// Up to into.size() bytes of standard input, as they come; 0 at its end. One reader at a time.
  /// Errors: kIo, kTimedOut, kCancelled.
  virtual Result<size_t> read_input(Task& task, MutableBytes into,
                                    Instant deadline = Instant::never()) = 0;
  /// All of `text`; waits while the reader at the other end does not read. Errors: kClosed if there
  /// is no reader any more ("| head"), kIo, kCancelled.
  virtual Result<> write(Task& task, Stream stream, std::string_view text) = 0;

  /// Errors: kNotFound, kIo.
  virtual Result<std::unique_ptr<Process>> start(Task& task, const ProcessOptions& options) = 0;

  // Paths below are any, relative ones to the current directory.

  /// With its parents; fine if it exists. Errors: kIo, kNoSpace.
  virtual Result<> make_directories(Task& task, const std::string& path) = 0;
  /// A fresh directory for files that may go, by a name that starts with `prefix`: its path.
  virtual Result<std::string> make_temporary_directory(Task& task, const std::string& prefix) = 0;
  /// With all that is in it; fine if it does not exist. Refuses "/" and the current directory:
  /// kInvalid.
  virtual Result<> remove_tree(Task& task, const std::string& path) = 0;
  virtual Result<bool> path_exists(Task& task, const std::string& path) = 0;
  /// Errors: kNotFound, kIo, kTooLarge past `limit`.
  virtual Result<std::string> read_whole_file(Task& task, const std::string& path,
                                              ByteCount limit) = 0;
  /// A reader sees the old file, none, or all of the new one: written aside, then renamed. Not
  /// synced.
  virtual Result<> write_file_atomically(Task& task, const std::string& path,
                                         std::string_view bytes) = 0;

  /// "2026-01-31 23:59:59.123", with "Z" behind it for UTC.
  virtual std::string format_time(WallTime time, Zone zone) const = 0;
};

/// Standard input by lines.
class LineReader {
 public:
  explicit LineReader(Host& host, ByteCount line_max = 1_MiB) : host_(host), line_max_(line_max) {}
  /// The next line without its end; nothing at the end of input. A last line without an end counts.
  /// Errors: as Host::read_input, and kTooLarge.
  Result<std::optional<std::string>> next(Task& task);

 private:
  Host& host_;
  const ByteCount line_max_;
  std::string buffer_;
  size_t at_ = 0;
  bool ended_ = false;
};

}  // namespace taffrail
