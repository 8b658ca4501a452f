// What a command tells the shell. The numbers are an interface: scripts branch on them.
#pragma once

#include "base/result.h"

namespace taffrail::cli {

enum class ExitCode : int {
  kOk = 0,             ///< Done, or it holds.
  kFailed = 1,         ///< The message says why.
  kUsage = 2,          ///< The command line makes no sense.
  kConfig = 3,         ///< The configuration does not.
  kCannotConnect = 4,  ///< No broker answers.
  kNotAllowed = 5,
  kNotFound = 6,
  kExists = 7,
  kTimedOut = 8,
  kUnhealthy = 10,     ///< Looked, and it is not well: damage, or not enough brokers.
  kViolated = 20,      ///< A simulation broke a property: a bug. 20 to 26 are the simulator's.
  kNoProgress = 21,
  kNotDeterministic = 22,
  kCrashed = 23,
  kHarness = 24,
  kGoalMissed = 25,
  kOtherBuild = 26,
  kInterrupted = 130,
};

/// For errors of the client, the disk and the system.
ExitCode exit_code_of(const Error& error);

}  // namespace taffrail::cli
