// Assertions about our own logic. Never about bytes from a socket, a disk or a fellow broker:
// those are an Error, or a quarantine (docs/ARCHITECTURE.md, "What can go wrong").
#pragma once

#include <string>
#include <string_view>

namespace taffrail {

/// Called once with the finished message before the process ends; a simulated world puts its seed and
/// its trace behind it. The default prints to stderr. Returns the previous hook.
using CheckHook = void (*)(std::string_view message);
CheckHook set_check_hook(CheckHook hook);

[[noreturn]] void check_failed(const char* file, int line, const char* condition,
                               const std::string& detail = {});

}  // namespace taffrail

/// Always on. `CHECK(cond)`, or `CHECK(cond, "I-R1 what must hold")`, or with text made on failure
/// only: `CHECK(cond, fmt::format(...))`.
#define CHECK(condition, ...)                                                                   \
  do {                                                                                          \
    if (!(condition)) [[unlikely]]                                                              \
      ::taffrail::check_failed(__FILE__, __LINE__, #condition __VA_OPT__(, ) __VA_ARGS__);      \
  } while (false)

/// For costly checks: debug builds only. The condition still has to compile.
#ifdef NDEBUG
#define DCHECK(condition, ...) \
  do {                         \
    if (false) {               \
      (void)(condition);       \
    }                          \
  } while (false)
#else
#define DCHECK(condition, ...) CHECK(condition __VA_OPT__(, ) __VA_ARGS__)
#endif
