// Reading the golden rows: tests/protocol/golden, or the directory that TAFFRAIL_GOLDEN_DIR names.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "support/tree_paths.h"

namespace taffrail {

inline std::filesystem::path golden_dir() {
  const char* other = std::getenv("TAFFRAIL_GOLDEN_DIR");
  if (other != nullptr) return other;
  return std::filesystem::path(tests::source_dir()) / "tests/protocol/golden";
}

inline std::vector<nlohmann::json> golden_rows(const std::filesystem::path& file) {
  std::vector<nlohmann::json> rows;
  std::ifstream in(file);
  EXPECT_TRUE(in.good()) << file;
  for (std::string line; std::getline(in, line);) {
    if (!line.empty()) rows.push_back(nlohmann::json::parse(line));
  }
  return rows;
}

inline Slice slice_of_hex(const nlohmann::json& hex) {
  return Slice(as_bytes(from_hex(hex.get<std::string>())));
}

}  // namespace taffrail
