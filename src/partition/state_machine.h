// What a partition's records mean to the one that built on it: a coordinator's state is what the log says, on its leader
// and on its followers alike.
#pragma once

#include "base/bytes.h"
#include "base/entry.h"
#include "base/result.h"
#include "record/batch.h"

namespace taffrail {

/// Called by a Partition from its own fibers and callbacks: nothing here may wait.
class StateMachine {
 public:
  virtual ~StateMachine() = default;
  /// A committed batch, each one once and in order, on every replica. Applying reads no clock and no random number.
  virtual void apply(const BatchView& batch, EntryId entry) = 0;
  /// All up to `entry` was applied; it may be an entry that is no batch.
  virtual void on_applied(EntryId entry) = 0;
  /// Whether this replica leads, or in which epoch, may be another than before.
  virtual void on_leadership() = 0;
  /// The state as it is now, and back: a shortcut, for the log from its start gives the same.
  /// Errors of load: kCorrupt, kUnsupported.
  virtual Slice save() const = 0;
  virtual Result<> load(ByteView bytes) = 0;
};

}  // namespace taffrail
