#include "runtime/host.h"

#include <fmt/core.h>

namespace taffrail {

namespace {
constexpr size_t kChunk = 64_KiB;
}

Result<std::optional<std::string>> LineReader::next(Task& task) {
  size_t searched = at_;
  for (;;) {
    const size_t end = buffer_.find('\n', searched);
    const size_t length = (end == std::string::npos ? buffer_.size() : end) - at_;
    if (length > line_max_)
      return fail(Errc::kTooLarge,
                  fmt::format("a line of input is longer than {} bytes", line_max_));
    if (end != std::string::npos || (ended_ && length > 0)) {
      std::string line = buffer_.substr(at_, length);
      at_ = end == std::string::npos ? buffer_.size() : end + 1;
      return line;
    }
    if (ended_) return std::nullopt;
    buffer_.erase(0, at_);
    at_ = 0;
    searched = buffer_.size();
    buffer_.resize(searched + kChunk);
    const Result<size_t> got =
        host_.read_input(task, {reinterpret_cast<uint8_t*>(buffer_.data()) + searched, kChunk});
    buffer_.resize(searched + (got ? *got : 0));
    if (!got) return std::unexpected(got.error());
    if (*got == 0) ended_ = true;
  }
}

}  // namespace taffrail
