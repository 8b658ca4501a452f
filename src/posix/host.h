// The process that we are, as a command sees it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "posix/posix_runtime.h"
#include "runtime/host.h"

namespace taffrail::posix {

/// One per shard, because a fiber waits on its own loop; input belongs to one of them at a time.
class PosixHost final : public Host {
 public:
  /// `runtime` outlives this.
  PosixHost(PosixRuntime& runtime, std::vector<std::string> arguments);
  ~PosixHost() override;

  const std::vector<std::string>& arguments() const override { return arguments_; }
  std::optional<std::string> environment(const std::string& name) const override;
  std::string executable() const override;
  std::string current_directory() const override;
  int64_t pid() const override;
  bool is_terminal(Stream stream) const override;
  uint32_t terminal_width() const override;
  Result<size_t> read_input(Task& task, MutableBytes into, Instant deadline) override;
  Result<> write(Task& task, Stream stream, std::string_view text) override;
  Result<std::unique_ptr<Process>> start(Task& task, const ProcessOptions& options) override;
  Result<> make_directories(Task& task, const std::string& path) override;
  Result<std::string> make_temporary_directory(Task& task, const std::string& prefix) override;
  Result<> remove_tree(Task& task, const std::string& path) override;
  Result<bool> path_exists(Task& task, const std::string& path) override;
  Result<std::string> read_whole_file(Task& task, const std::string& path,
                                      ByteCount limit) override;
  Result<> write_file_atomically(Task& task, const std::string& path,
                                 std::string_view bytes) override;
  std::string format_time(WallTime time, Zone zone) const override;

 private:
  class Standard;  // One of the three standard streams, and who waits for it.
  Standard& stream(Stream which);

  PosixRuntime& runtime_;
  const std::vector<std::string> arguments_;
  std::vector<std::unique_ptr<Standard>> streams_;
};

}  // namespace taffrail::posix
