// Fibers that run on a shard on behalf of another one: whoever sent them can hurry them, and call them off.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "broker/hurry.h"
#include "runtime/runtime.h"

namespace taffrail {

/// The sender's shard, and a number that it gives.
using GuestId = std::pair<ShardId, uint64_t>;

class Guests {
 public:
  explicit Guests(Runtime& runtime) : runtime_(runtime) {}

  /// A place for a guest, before its fiber. False once stop() was called: nobody is let in.
  bool admit(const GuestId& id);
  /// Of an admitted guest; stays where it is until the guest has left.
  Hurry& hurry_of(const GuestId& id) { return guests_.at(id)->hurry; }
  /// The guest's fiber; the guest leaves when `body` returns.
  void run(const GuestId& id, std::string name, std::function<void(Task&)> body);
  /// The guest leaves without a fiber.
  void leave(const GuestId& id) { guests_.erase(id); }

  /// Both do nothing for a guest that has left.
  void hurry(const GuestId& id);
  void cancel(const GuestId& id);

  void stop(Task& task);
  /// Guests that are here now.
  size_t count();

 private:
  struct Guest {
    Hurry hurry;
    Scope scope;
  };
  void sweep();

  Runtime& runtime_;
  bool stopped_ = false;
  std::map<GuestId, std::unique_ptr<Guest>> guests_;
  std::vector<GuestId> ended_;  // A fiber cannot take away the scope that it runs in.
};

}  // namespace taffrail
