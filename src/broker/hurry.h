// A word to a long poll that is one part of a larger one.
#pragma once

#include "partition/partition.h"

namespace taffrail {

/// Asks a long poll to answer with what there is: another part of the same request has enough.
struct Hurry {
  bool due = false;
  FetchWatch* waiting = nullptr;  ///< Woken by now().
  void now() {
    due = true;
    if (waiting != nullptr) waiting->wake();
  }
};

}  // namespace taffrail
