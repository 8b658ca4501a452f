#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace taffrail {
namespace {

void print(std::string_view message) {
  std::fwrite(message.data(), 1, message.size(), stderr);
  std::fflush(stderr);
}

// The one mutable static of the tree: how a process says its last words cannot depend on which of
// its worlds is speaking. It is set once, before any fiber runs.
CheckHook hook = print;

}  // namespace

CheckHook set_check_hook(CheckHook next) {
  CheckHook previous = hook;
  hook = next;
  return previous;
}

void check_failed(const char* file, int line, const char* condition, const std::string& detail) {
  std::string message = "CHECK failed: ";
  if (!detail.empty()) message.append(detail).append("\n  condition: ");
  message.append(condition).append("\n  at ").append(file).append(":").append(std::to_string(line));
  message.append("\n");
  hook(message);
  std::abort();
}

}  // namespace taffrail
