// Goal: what one broker says the other reads, and bytes that mean nothing do no harm. Method: random
// values there and back; valid frames with a random change; a table of bytes that pins the format.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "net/peer_stream.h"
#include "net/peer_wire.h"

namespace taffrail {
namespace {

Greeting any_greeting() {
  Greeting greeting;
  greeting.kind = static_cast<GreetingKind>(*rc::gen::inRange(1, 4));
  greeting.from.cluster = {*rc::gen::arbitrary<uint64_t>(), *rc::gen::arbitrary<uint64_t>()};
  greeting.from.replica.node = BrokerId(*rc::gen::arbitrary<int32_t>());
  greeting.from.replica.disk = {*rc::gen::arbitrary<uint64_t>(), *rc::gen::arbitrary<uint64_t>()};
  greeting.from.incarnation = *rc::gen::arbitrary<uint64_t>();
  greeting.from.shards = *rc::gen::inRange<uint32_t>(1, 65536);
  greeting.meant = BrokerId(*rc::gen::arbitrary<int32_t>());
  greeting.reason = *rc::gen::arbitrary<std::string>();
  const auto more = *rc::gen::inRange<uint32_t>(0, std::min(greeting.from.shards, kDirectoriesMax));
  for (uint32_t i = 0; i < more; ++i) greeting.from.more_disks.push_back({*rc::gen::arbitrary<uint64_t>(), i});
  return greeting;
}

RC_GTEST_PROP(PeerWire, AGreetingIsReadAsItWasWritten, ()) {
  const Greeting sent = any_greeting();
  const Slice bytes = encode_greeting(sent);
  RC_ASSERT(bytes.size() <= kGreetingSizeMax);
  const Result<Greeting> read = decode_greeting(bytes.view().subspan(4));
  RC_ASSERT(read.has_value());
  RC_ASSERT(read->kind == sent.kind);
  RC_ASSERT(read->from.cluster == sent.from.cluster);
  RC_ASSERT(read->from.replica == sent.from.replica);
  RC_ASSERT(read->from.incarnation == sent.from.incarnation);
  RC_ASSERT(read->from.shards == sent.from.shards);
  RC_ASSERT(read->from.more_disks == sent.from.more_disks);
  RC_ASSERT(read->meant == sent.meant);
  RC_ASSERT(read->reason == sent.reason);
}

RC_GTEST_PROP(PeerWire, CallsAndAnswersAreReadAsTheyWereWritten, ()) {
  const auto id = *rc::gen::arbitrary<uint64_t>();
  const auto text = *rc::gen::arbitrary<std::string>();
  const auto body = *rc::gen::arbitrary<std::string>();
  const auto call = decode_call_head(as_bytes(std::string(as_text(encode_call_head(id, text))) + body));
  RC_ASSERT(call.has_value());
  RC_ASSERT(call->id == id);
  RC_ASSERT(call->service == text);
  RC_ASSERT(call->size == 12 + text.size());

  const auto good = decode_answer_head(as_bytes(std::string(as_text(encode_answer_head(id, nullptr))) + body));
  RC_ASSERT(good.has_value());
  RC_ASSERT(good->outcome.has_value());
  RC_ASSERT(good->size == 9u);
  const Error error{static_cast<Errc>(*rc::gen::inRange(0, static_cast<int>(Errc::kBusy) + 1)), text};
  const auto bad = decode_answer_head(encode_answer_head(id, &error));
  RC_ASSERT(bad.has_value());
  RC_ASSERT(bad->id == id);
  RC_ASSERT(bad->outcome.error() == error);
}

RC_GTEST_PROP(PeerWire, DamagedFramesAreAnErrorOrAnotherMeaningNeverACrash, ()) {
  std::string bytes(as_text(encode_greeting(any_greeting())));
  bytes.erase(0, 4);
  bytes.resize(*rc::gen::inRange<size_t>(0, bytes.size() + 1));
  if (!bytes.empty()) bytes[*rc::gen::inRange<size_t>(0, bytes.size())] = *rc::gen::arbitrary<char>();
  const std::string copy = bytes;  // Its own allocation: a sanitizer sees a read past its end.
  (void)decode_greeting(as_bytes(copy)).has_value();
  (void)decode_call_head(as_bytes(copy)).has_value();
  (void)decode_answer_head(as_bytes(copy)).has_value();
}

TEST(PeerWire, TheFormatIsWhatItWas) {
  const Greeting hello{GreetingKind::kHello, {{1, 2}, {BrokerId{3}, {4, 5}}, 6, 8}, BrokerId{7}, "no"};
  EXPECT_EQ(to_hex(encode_greeting(hello)),
            "0000003f" "5446504c" "0001" "01" "0000000000000001" "0000000000000002" "00000003"
            "0000000000000004" "0000000000000005" "0000000000000006" "0008" "00000007" "00000002" "6e6f");
  Greeting of_two_disks = hello;
  of_two_disks.from.more_disks = {{9, 10}};
  EXPECT_EQ(to_hex(encode_greeting(of_two_disks)),
            "00000050" "5446504c" "0002" "01" "0000000000000001" "0000000000000002" "00000003"
            "0000000000000004" "0000000000000005" "0000000000000006" "0008" "00000007" "00000002" "6e6f"
            "01" "0000000000000009" "000000000000000a");
  EXPECT_EQ(to_hex(encode_call_head(258, "ab")), "0000000000000102" "00000002" "6162");
  EXPECT_EQ(to_hex(encode_answer_head(1, nullptr)), "0000000000000001" "00");
  int code = 0;
  for (const char* name : {"cancelled", "timed_out", "io", "no_space", "not_found", "exists", "corrupt", "invalid",
                           "unsupported", "too_large", "out_of_range", "closed", "refused", "not_leader",
                           "fenced", "unavailable", "busy"}) {
    ByteWriter answer;
    answer.u64(1);
    answer.u8(static_cast<uint8_t>(++code));
    answer.sized(std::string_view("m"));
    EXPECT_EQ(errc_name(decode_answer_head(answer.view())->outcome.error().code), name);
  }
}

TEST(PeerWire, AnErrorOfALaterVersionMeansTryAgain) {
  ByteWriter answer;
  answer.u64(1);
  answer.u8(200);
  answer.sized(std::string_view("m"));
  EXPECT_EQ(decode_answer_head(answer.view())->outcome.error().code, Errc::kUnavailable);
}

RC_GTEST_PROP(Outbox, GivesTheFramesInOrderWhateverIsTakenAtATime, ()) {
  Outbox outbox;
  std::string expected;
  std::string taken;
  const auto count = *rc::gen::inRange(0, 30);
  for (int i = 0; i < count; ++i) {
    Chain parts;
    std::string body;
    const auto pieces = *rc::gen::inRange(0, 4);
    for (int p = 0; p < pieces; ++p) {
      const auto size = *rc::gen::element<size_t>(0, 1, 100, Outbox::kCopyMax, Outbox::kCopyMax + 1, 5000);
      const std::string piece(size, static_cast<char>('a' + i % 26));
      parts.push_back(Slice(piece));
      body += piece;
    }
    outbox.add(PeerKind::kRaft, std::move(parts));
    ByteWriter frame;
    frame.u32(static_cast<uint32_t>(body.size() + 1));
    frame.u8(1);
    expected += frame.take() + body;
    if (*rc::gen::inRange(0, 3) == 0) {
      const auto max = *rc::gen::inRange<size_t>(1, 8000);
      const Chain chain = outbox.take(max);
      RC_ASSERT(chain_size(chain) <= max);
      for (const Slice& part : chain) taken += as_text(part);
    }
    RC_ASSERT(outbox.size() == expected.size() - taken.size());
  }
  for (const Slice& part : outbox.take(SIZE_MAX)) taken += as_text(part);
  RC_ASSERT(taken == expected);
  RC_ASSERT(outbox.size() == 0u);
}

}  // namespace
}  // namespace taffrail
