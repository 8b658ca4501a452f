// What measurements ask of the machine: clocks, processes, what they cost, and what the kernel did for them. Outside of
// the seam, and of no use to a broker. Whatever fails ends the program: half a measurement is none.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace taffrail::bench {

[[noreturn]] void die(const std::string& what);

/// Seconds, of a clock that only goes forward.
double now();
void sleep_until(double at);

/// CPU seconds of this process.
double own_cpu();

/// What the machine counted since it started.
struct Counters {
  double busy = 0;     ///< CPU seconds of everything but idle, waiting and stolen time.
  double kernel = 0;   ///< Of the kernel's own threads: journal, writeback, flushes.
  double stolen = 0;   ///< What the hypervisor gave to others.
  double flushes = 0;  ///< Of all disks' caches; no figure for disks that do not count them.
};
Counters read_counters();

/// This process and the brokers on cores of their own, where there are at least two; else nothing.
void pin_self();

/// Memory that was touched, to be given back piece by piece while brokers write files. Where the host takes back what a
/// guest frees, the first touch of a page costs the kernel ten times its copy, seconds per GB: what new files do to the
/// page cache would be measured, and not those who write them.
class Hoard {
 public:
  explicit Hoard(double bytes);
  ~Hoard();
  Hoard(const Hoard&) = delete;
  Hoard& operator=(const Hoard&) = delete;
  /// Frees so much more of it.
  void give(double bytes);

 private:
  uint8_t* at_ = nullptr;
  size_t size_ = 0;
  size_t given_ = 0;
  double owed_ = 0;
};

/// A child that does not outlive this program.
class Child {
 public:
  Child(std::vector<std::string> arguments, const std::string& log, bool pinned);
  ~Child();
  Child(Child&& o) noexcept;
  Child& operator=(Child&&) = delete;

  pid_t pid() const { return pid_; }
  bool running() const { return pid_ > 0; }
  /// So far, all threads, to the nanosecond.
  double cpu() const;
  /// Resident bytes, now and at most.
  double rss() const;
  double rss_peak() const;
  void kill();
  /// Asks it to stop, and waits.
  void stop();

 private:
  void reap(int signal);
  pid_t pid_ = -1;
};

/// A directory that goes with the program, Ctrl-C included. `under` empty: the system's.
std::string make_scratch(const std::string& under);
void remove_tree(const std::string& path);
/// A port that nobody used a moment ago.
uint16_t free_port();
/// Files below `directory` whose name ends like this, and their sizes together.
std::vector<std::string> files_below(const std::string& directory, const std::string& ending);
double size_of(const std::vector<std::string>& files);

/// What the figures depend on and the program does not choose: "2 x AMD EPYC, Linux 6.1, ext4".
std::string machine_in_words(const std::string& directory);

}  // namespace taffrail::bench
