// A fresh directory of the real file system, gone with the object.
#pragma once

#include <filesystem>
#include <string>

namespace taffrail {

class TemporaryDirectory {
 public:
  /// Below `base`, which is made if it is missing.
  explicit TemporaryDirectory(const std::string& base) {
    std::filesystem::create_directories(base);
    path_ = base + "/XXXXXX";
    if (mkdtemp(path_.data()) == nullptr) path_.clear();
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace taffrail
