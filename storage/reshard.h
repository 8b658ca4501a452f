// A node's logs on another number of shards. Each log goes to where shard_of() says, with its entries, its promises
// and its doubts; nothing of it is ever in two places that a start would open, whatever crashes in between.
//
//   shard-0 ... shard-(from-1)                      as they were
//        |  prepare_reshard(): reshard-J gets a write-ahead log with the states of its logs, and with the entries
//        |                     that are not in segments
//   the same, and reshard-0 ... reshard-(to-1)
//        |  the caller writes down, durably, that the node has `to` shards now and moves from `from`: until then a
//        |  start finds the old layout, and discard_reshard() removes the rest
//        |  finish_reshard():  segments are renamed into reshard-J, the old directories go, reshard-J becomes shard-J
//   shard-0 ... shard-(to-1)
//
// No segment is copied, so that it takes seconds, and room for what the write-ahead logs held.
//
// Where a node has several data directories each of them is moved by itself: its logs stay in it (base/ids.h), and of the
// shards above it has every so-and-so-many-th.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "runtime/runtime.h"
#include "storage/types.h"

namespace taffrail {

/// "shard-3".
std::string shard_directory(uint32_t shard);

/// Writes down in reshard-0 ... reshard-(to-1) what shard-0 ... shard-(from-1) hold, durably: of those that are in
/// `runtime`'s data directory. Opens the old ones, which recovers them, and changes nothing else about them. `options`: of
/// every shard, but for the directory. The caller holds the lock of the data directory, and none of its shards is open.
/// Errors: of Store::open(); kNoSpace, kIo, kCancelled. Nothing is changed then, and discard_reshard() clears up.
Result<> prepare_reshard(Task& task, Runtime& runtime, const StoreOptions& options, uint32_t from, uint32_t to);

/// The rest, once it is durable that it has to be done. May be cut short by a crash at any step, any number of times, and
/// goes on from there; done already, it changes nothing. Errors: kIo; kBusy if somebody put files into a shard's directory.
Result<> finish_reshard(Task& task, Runtime& runtime, uint32_t from, uint32_t to);

/// Whether there is something for discard_reshard().
Result<bool> reshard_left_behind(Task& task, Disk& disk);
/// Removes what an attempt left that did not get as far as to be written down.
Result<> discard_reshard(Task& task, Disk& disk);

}  // namespace taffrail
