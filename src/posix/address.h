// Socket addresses: from names, and back to text.
#pragma once

#include <sys/socket.h>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/result.h"
#include "posix/loop.h"
#include "runtime/net.h"

namespace taffrail::posix {

struct Address {
  sockaddr_storage storage{};
  socklen_t size = sizeof(sockaddr_storage);

  sockaddr* raw() { return reinterpret_cast<sockaddr*>(&storage); }
  const sockaddr* raw() const { return reinterpret_cast<const sockaddr*>(&storage); }
  int family() const { return storage.ss_family; }
  /// Numeric, as getsockname and accept give it; empty host if the family is not an IP one.
  Endpoint endpoint() const;
};

/// What a resolved address is for.
enum class AddressUse : uint8_t {
  kConnect,
  kListen,  ///< An empty host means every address of this machine.
};

/// Looks names up, on a thread of its own: a name server that does not answer must not take a
/// thread away from the disk.
class Resolver {
 public:
  explicit Resolver(Loop& loop);
  /// A lookup that is still under way is left behind; nobody waits for it.
  ~Resolver();
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  /// At least one address, in the order to try them. Numeric hosts do not wait.
  /// Errors: kNotFound, kTimedOut, kCancelled.
  Result<std::vector<Address>> resolve(Task& task, const Endpoint& endpoint, AddressUse use,
                                       Instant deadline);

 private:
  struct Lookup;
  struct Shared;
  static void work(const std::shared_ptr<Shared>& shared);

  std::shared_ptr<Shared> shared_;  // With the thread, which may outlive this.
  std::thread thread_;              // Started by the first lookup.
};

}  // namespace taffrail::posix
