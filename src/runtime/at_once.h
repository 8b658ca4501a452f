// The same for many things, a few at a time: a disk answers several questions in the time of one.
#pragma once

#include <algorithm>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "runtime/runtime.h"

namespace taffrail {

/// `work(Task&, item)` for each of `items`, in fibers called `name`, `width` of them; returns when all have ended. After an
/// error, or once the caller is cancelled, nothing more is begun. Errors: the first of `work`; kCancelled.
template <class Item, class Work>
Result<> for_each_at_once(Task& task, Runtime& runtime, std::string_view name, std::span<Item> items, size_t width, Work work) {
  Result<> all;
  size_t next = 0;
  Scope scope;
  for (size_t i = 0; i < std::min(width, items.size()); ++i) {
    runtime.spawn(scope, std::string(name), [&](Task& one) {
      while (next < items.size() && all && !task.cancelled()) {
        const Result<> done = work(one, items[next++]);
        if (!done && all) all = done;
      }
    });
  }
  scope.join(task);
  if (all && task.cancelled()) return fail(Errc::kCancelled);
  return all;
}

}  // namespace taffrail
