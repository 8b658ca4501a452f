// Where this source tree and its build lie, for tests that read files of either.
#pragma once

#include <string>

namespace taffrail::tests {

/// Where the source tree lies, and where it is built. Functions of one small generated file, so that
/// no other object depends on the place of a clone: a second clone hits what the first one compiled.
std::string source_dir();
std::string binary_dir();

}  // namespace taffrail::tests
