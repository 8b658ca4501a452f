// The real world for one test: a node with a directory of its own.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "posix/node.h"
#include "support/temporary_directory.h"
#include "support/tree_paths.h"

namespace taffrail::posix {

struct TestWorld {
  TemporaryDirectory directory{tests::binary_dir() + "/tmp"};
  NodeOptions options;

  TestWorld() {
    options.data_dirs = {directory.path()};
    options.log.level = LogLevel::kError;
    options.handle_signals = false;
  }
  void run(const std::function<void(Task&, Shard&)>& main) {
    const Result<> ran = run_node(options, main);
    EXPECT_TRUE(ran.has_value()) << ran.error().text();
  }
};

}  // namespace taffrail::posix
