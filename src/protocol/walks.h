// The walks over a message's fields. Only messages_*.cc include this: each compiles the walks of
// its messages once, by TAFFRAIL_REQUEST(Type) and TAFFRAIL_RESPONSE(Type).
#pragma once

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <concepts>
#include <type_traits>

#include "base/check.h"
#include "protocol/codec.h"
#include "protocol/frame.h"
#include "protocol/wire.h"

namespace taffrail::protocol::walks {

/// How a struct looks in one version of its message.
struct Shape {
  int16_t version = 0;
  bool flexible = false;

  bool compact(const Spec& spec) const { return flexible && !spec.plain_lengths; }
  bool tagged(const Spec& spec) const { return flexible && spec.tag_number >= 0; }
};

// Kinds of field, by type.

template <class T>
struct IsVector : std::false_type {};
template <class T>
struct IsVector<std::vector<T>> : std::true_type {};
template <class T>
struct IsOptional : std::false_type {};
template <class T>
struct IsOptional<std::optional<T>> : std::true_type {};

template <class T>
concept Strong = std::integral<decltype(T::value)>;
template <class T>
concept Struct = requires(T t) { t.unknown_tags; };

/// What a field has when nothing is said about it: the same field of a struct nobody has touched.
template <class S, class T>
const T& default_of(const S& self, const T& field) {
  static const S untouched{};
  const auto at =
      reinterpret_cast<const std::byte*>(&field) - reinterpret_cast<const std::byte*>(&self);
  return *reinterpret_cast<const T*>(reinterpret_cast<const std::byte*>(&untouched) + at);
}

/// Known tags of one struct that are about to be written.
struct TagList {
  std::array<uint32_t, 16> numbers{};
  size_t count = 0;
};

enum class Pass : uint8_t { kPlain, kCollectTags, kOneTag };

// Encode. Counting is encoding into an Output that counts.

template <Struct S>
void encode_struct(Output& out, Shape shape, const S& self);

template <class T>
void encode_value(Output& out, Shape shape, const Spec& spec, const char* name, const T& v) {
  const bool compact = shape.compact(spec);
  if constexpr (IsOptional<T>::value) {
    using Inner = typename T::value_type;
    if constexpr (Struct<Inner>) out.u8(v ? 1 : 0xff);
    if (v) return encode_value(out, shape, spec, name, *v);
    // A count wants the smallest form there is, and a string that must not be null is at least
    // empty.
    if (shape.version < spec.null_from && !out.counting())
      out.fail(Errc::kInvalid, fmt::format("{} is null", name));
    if constexpr (std::same_as<Inner, std::string>) out.null_string(compact);
    if constexpr (std::same_as<Inner, Slice> || IsVector<Inner>::value) out.null_length(compact);
  } else if constexpr (IsVector<T>::value) {
    out.length(v.size(), compact);
    for (const auto& element : v) encode_value(out, shape, spec, name, element);
  } else if constexpr (Struct<T>) {
    encode_struct(out, shape, v);
  } else if constexpr (std::same_as<T, std::string>) {
    out.string(v, compact);
  } else if constexpr (std::same_as<T, Slice>) {
    out.bytes(v, compact);
  } else if constexpr (std::same_as<T, Records>) {
    if (!v.is_null()) return out.records(v, compact);
    if (shape.version < spec.null_from && !out.counting())
      out.fail(Errc::kInvalid, fmt::format("{} is null", name));
    out.null_length(compact);
  } else if constexpr (std::same_as<T, Uuid>) {
    out.uuid(v);
  } else if constexpr (std::same_as<T, bool>) {
    out.u8(v ? 1 : 0);
  } else if constexpr (std::same_as<T, double>) {
    out.integer(std::bit_cast<uint64_t>(v));
  } else if constexpr (Strong<T>) {
    out.integer(v.value);
  } else if constexpr (std::is_enum_v<T>) {
    out.integer(static_cast<std::underlying_type_t<T>>(v));
  } else {
    out.integer(v);
  }
}

template <Struct S>
struct EncodeFields {
  Output& out;
  Shape shape;
  const S& self;
  TagList& tags;
  Pass pass = Pass::kPlain;
  uint32_t wanted = 0;

  template <class T>
  void operator()(const char* name, const T& field, Spec spec = {}) {
    if (!spec.present(shape.version)) {
      if (pass == Pass::kPlain && !spec.may_be_dropped && !(field == default_of(self, field)))
        out.fail(Errc::kUnsupported,
                 fmt::format("{} is set, which version {} does not have", name, shape.version));
    } else if (!shape.tagged(spec)) {
      if (pass == Pass::kPlain) encode_value(out, shape, spec, name, field);
    } else if (pass == Pass::kCollectTags) {
      if (field == default_of(self, field)) return;
      CHECK(tags.count < tags.numbers.size());
      tags.numbers[tags.count++] = static_cast<uint32_t>(spec.tag_number);
    } else if (pass == Pass::kOneTag && static_cast<uint32_t>(spec.tag_number) == wanted) {
      // The size comes first, so the value is walked twice. Tagged values are rare and small.
      Output counted(Output::Mode::kCount);
      encode_value(counted, shape, spec, name, field);
      out.uvarint(counted.size());
      encode_value(out, shape, spec, name, field);
    }
  }
};

template <Struct S>
void encode_struct(Output& out, Shape shape, const S& self) {
  TagList tags;
  EncodeFields<S> walk{out, shape, self, tags};
  S::fields(self, walk);
  const std::span<const UnknownTags::Tag> unknown = self.unknown_tags.all();
  if (!shape.flexible) {
    if (!unknown.empty())
      out.fail(Errc::kUnsupported, fmt::format("version {} has no tagged fields", shape.version));
    return;
  }
  walk.pass = Pass::kCollectTags;
  S::fields(self, walk);
  out.uvarint(tags.count + unknown.size());
  // Known and unknown tags share one ascending order.
  std::sort(tags.numbers.begin(), tags.numbers.begin() + tags.count);
  walk.pass = Pass::kOneTag;
  size_t next_unknown = 0;
  const auto write_unknown_below = [&](uint64_t limit) {
    for (; next_unknown < unknown.size() && unknown[next_unknown].number < limit; ++next_unknown) {
      out.uvarint(unknown[next_unknown].number);
      out.uvarint(unknown[next_unknown].data.size());
      out.raw(as_bytes(unknown[next_unknown].data));
    }
  };
  for (size_t i = 0; i < tags.count; ++i) {
    write_unknown_below(tags.numbers[i]);
    out.uvarint(tags.numbers[i]);
    walk.wanted = tags.numbers[i];
    S::fields(self, walk);
  }
  write_unknown_below(UINT64_MAX);
}

/// Bytes that an element takes at the very least, which bounds how many of them a frame can hold:
/// an untouched one has the shortest form of everything.
template <class T>
size_t min_size(Shape shape, const Spec& spec) {
  static const T untouched{};
  Output counted(Output::Mode::kCount);
  encode_value(counted, shape, spec, "", untouched);
  return counted.size();
}

// Decode.

template <Struct S>
void decode_struct(Input& in, Shape shape, S& self);

template <class T>
void decode_value(Input& in, Shape shape, const Spec& spec, T& v);

template <class T>
void decode_vector(Input& in, Shape shape, const Spec& spec, std::vector<T>& v, int64_t count) {
  if (count < 0) return in.fail("is null");
  if (!in.charge(static_cast<size_t>(count) * sizeof(T))) return;
  v.resize(static_cast<size_t>(count));
  for (size_t i = 0; i < v.size(); ++i) {
    decode_value(in, shape, spec, v[i]);
    if (in.failed()) return in.in_element(i);
  }
}

inline void decode_string(Input& in, std::string& v, int64_t size) {
  if (size < 0) return in.fail("is null");
  // Short ones live inside the string itself, which was paid for with its struct.
  if (size > 15 && !in.charge(static_cast<size_t>(size) + 1)) return;
  v = in.text(static_cast<size_t>(size));
}

template <class T>
void decode_value(Input& in, Shape shape, const Spec& spec, T& v) {
  const bool compact = shape.compact(spec);
  const bool nullable = shape.version >= spec.null_from;
  if constexpr (IsOptional<T>::value) {
    using Inner = typename T::value_type;
    if constexpr (Struct<Inner>) {
      // Not emplace(): inside the message that declares it, clang holds the type for not yet constructible from nothing.
      if (in.integer<int8_t>() >= 0) return decode_struct(in, shape, *(v = Inner{}));
      v.reset();
    } else {
      int64_t size = 0;
      if constexpr (std::same_as<Inner, std::string>) {
        size = in.string_length(compact);
      } else if constexpr (std::same_as<Inner, Slice>) {
        size = in.length(compact);
      } else {
        static_assert(IsVector<Inner>::value);
        size = in.count(compact, min_size<typename Inner::value_type>(shape, spec));
      }
      if (in.failed()) return;
      if (size >= 0) {
        if constexpr (std::same_as<Inner, std::string>) return decode_string(in, v.emplace(), size);
        if constexpr (std::same_as<Inner, Slice>) {
          v = in.slice(static_cast<size_t>(size));
          return;
        }
        if constexpr (IsVector<Inner>::value)
          return decode_vector(in, shape, spec, v.emplace(), size);
      }
      v.reset();
    }
    if (!nullable) in.fail("is null");
  } else if constexpr (IsVector<T>::value) {
    decode_vector(in, shape, spec, v,
                  in.count(compact, min_size<typename T::value_type>(shape, spec)));
  } else if constexpr (Struct<T>) {
    decode_struct(in, shape, v);
  } else if constexpr (std::same_as<T, std::string>) {
    decode_string(in, v, in.string_length(compact));
  } else if constexpr (std::same_as<T, Slice>) {
    const int64_t size = in.length(compact);
    if (size < 0) return in.fail("is null");
    v = in.slice(static_cast<size_t>(size));
  } else if constexpr (std::same_as<T, Records>) {
    const int64_t size = in.length(compact);
    if (in.failed()) return;
    if (size < 0 && !nullable) return in.fail("is null");
    if (size >= 0) v = Records(in.slice(static_cast<size_t>(size)));
    if (size < 0) v = Records();
  } else if constexpr (std::same_as<T, Uuid>) {
    v = in.uuid();
  } else if constexpr (std::same_as<T, bool>) {
    v = in.integer<int8_t>() != 0;
  } else if constexpr (std::same_as<T, double>) {
    v = std::bit_cast<double>(in.integer<uint64_t>());
  } else if constexpr (Strong<T>) {
    v.value = in.integer<decltype(v.value)>();
  } else if constexpr (std::is_enum_v<T>) {
    v = static_cast<T>(in.integer<std::underlying_type_t<T>>());
  } else {
    v = in.integer<T>();
  }
}

template <Struct S>
struct DecodeFields {
  Input& in;
  Shape shape;
  Pass pass = Pass::kPlain;
  uint32_t wanted = 0;
  bool matched = false;

  template <class T>
  void operator()(const char* name, T& field, Spec spec = {}) {
    if (in.failed()) return;
    if (pass == Pass::kPlain) {
      if (!spec.present(shape.version) || shape.tagged(spec)) return;
    } else {
      if (!shape.tagged(spec) || static_cast<uint32_t>(spec.tag_number) != wanted) return;
      matched = true;
      // As Kafka does it: a peer that sends what its version lacks is confused about more than
      // that.
      if (!spec.present(shape.version)) in.fail(fmt::format("tag {} in this version", wanted));
    }
    if (!in.failed()) decode_value(in, shape, spec, field);
    if (in.failed()) in.in_field(name);
  }
};

template <Struct S>
void decode_tags(Input& in, S& self, DecodeFields<S>& walk) {
  const uint32_t count = in.uvarint();
  if (in.failed()) return;
  if (count > in.left() / 2)
    return in.fail(fmt::format("{} tags with {} bytes left", count, in.left()));
  walk.pass = Pass::kOneTag;
  uint64_t seen = 0;
  // In any order, as Kafka's own reader takes them; but each only once.
  for (uint32_t i = 0; i < count && !in.failed(); ++i) {
    walk.wanted = in.uvarint();
    const uint32_t size = in.uvarint();
    const size_t end = in.narrow(size);
    if (in.failed()) return;
    walk.matched = false;
    S::fields(self, walk);
    if (in.failed()) return;
    const uint64_t bit = walk.wanted < 64 ? uint64_t{1} << walk.wanted : 0;
    if ((seen & bit) != 0 || (!walk.matched && self.unknown_tags.contains(walk.wanted)))
      return in.fail(fmt::format("tag {} twice", walk.wanted));
    seen |= bit;
    if (walk.matched) {
      if (in.left() != 0)
        return in.fail(fmt::format("{} bytes left in tag {}", in.left(), walk.wanted));
    } else {
      if (!in.charge(sizeof(UnknownTags::Tag) + size)) return;
      self.unknown_tags.add(walk.wanted, std::string(in.text(size)));
    }
    in.restore_end(end);
  }
}

template <Struct S>
void decode_struct(Input& in, Shape shape, S& self) {
  DecodeFields<S> walk{in, shape};
  S::fields(self, walk);
  if (shape.flexible && !in.failed()) decode_tags(in, self, walk);
}

// Print.

template <Struct S>
void print_struct(Printer& out, Shape shape, const S& self);

template <class T>
void print_value(Printer& out, Shape shape, const T& v) {
  if constexpr (IsOptional<T>::value) {
    if (!v) return out.null();
    print_value(out, shape, *v);
  } else if constexpr (IsVector<T>::value) {
    out.begin('[');
    for (size_t i = 0; i < v.size(); ++i) {
      out.element();
      const size_t path = out.push_element(i);
      print_value<typename T::value_type>(out, shape, v[i]);
      out.pop(path);
    }
    out.end(']');
  } else if constexpr (Struct<T>) {
    print_struct(out, shape, v);
  } else if constexpr (std::same_as<T, std::string>) {
    out.text(v);
  } else if constexpr (std::same_as<T, Slice>) {
    out.base64(v);
  } else if constexpr (std::same_as<T, Uuid>) {
    out.uuid(v);
  } else if constexpr (std::same_as<T, bool>) {
    out.boolean(v);
  } else if constexpr (std::same_as<T, double>) {
    out.number(v);
  } else if constexpr (Strong<T>) {
    out.number(int64_t{v.value});
  } else {
    out.number(static_cast<int64_t>(v));
  }
}

template <Struct S>
struct PrintFields {
  Printer& out;
  Shape shape;
  const S& self;

  template <class T>
  void operator()(const char* name, const T& field, Spec spec = {}) {
    if (!spec.present(shape.version)) return;
    if (shape.tagged(spec) && field == default_of(self, field)) return;
    const size_t path = out.push_field(name);
    if constexpr (std::same_as<T, Records>) {
      print_records(name, field);
    } else {
      out.key(name);
      print_value(out, shape, field);
    }
    out.pop(path);
  }

  void print_records(const char* name, const Records& records) {
    if (records.is_null()) {
      out.key(name);
      return out.null();
    }
    out.key(name, "SizeInBytes");
    out.number(static_cast<int64_t>(records.size_bytes()));
    out.key(name, "Hex");
    out.hex(records.flat());
  }
};

template <Struct S>
void print_struct(Printer& out, Shape shape, const S& self) {
  out.begin('{');
  PrintFields<S> walk{out, shape, self};
  S::fields(self, walk);
  out.end('}');
  out.unknown(self.unknown_tags);
}

// Generate.

template <Struct S>
void generate_struct(Random& random, Shape shape, S& self);

template <class T>
void generate_value(Random& random, Shape shape, const Spec& spec, T& v) {
  if constexpr (IsOptional<T>::value) {
    v.reset();
    if (shape.version >= spec.null_from && random.chance(1, 3)) return;
    generate_value(random, shape, spec, *(v = typename T::value_type{}));
  } else if constexpr (IsVector<T>::value) {
    v.resize(random.below(4));
    for (size_t i = 0; i < v.size(); ++i) {
      T& elements = v;
      generate_value(random, shape, spec, elements[i]);
    }
  } else if constexpr (Struct<T>) {
    generate_struct(random, shape, v);
  } else if constexpr (std::same_as<T, std::string>) {
    v = random_text(random);
  } else if constexpr (std::same_as<T, Slice>) {
    v = random_slice(random);
  } else if constexpr (std::same_as<T, Records>) {
    v = Records();
    if (shape.version >= spec.null_from && random.chance(1, 4)) return;
    for (uint64_t left = 1 + random.below(3); left > 0; --left) v.add(random_slice(random));
  } else if constexpr (std::same_as<T, Uuid>) {
    v.high = random.next();
    v.low = random.next();
  } else if constexpr (std::same_as<T, bool>) {
    v = random.chance(1, 2);
  } else if constexpr (std::same_as<T, double>) {
    v = static_cast<double>(random.between(-1'000'000, 1'000'000)) / 64;
  } else if constexpr (Strong<T>) {
    generate_value(random, shape, spec, v.value);
  } else if constexpr (std::is_enum_v<T>) {
    v = static_cast<T>(random.next());
  } else {
    v = static_cast<T>(random.next());
  }
}

template <Struct S>
struct GenerateFields {
  Random& random;
  Shape shape;

  template <class T>
  void operator()(const char*, T& field, Spec spec = {}) {
    if (!spec.present(shape.version)) return;
    if (shape.tagged(spec) && random.chance(1, 2)) return;
    generate_value(random, shape, spec, field);
  }
};

template <Struct S>
void generate_struct(Random& random, Shape shape, S& self) {
  GenerateFields<S> walk{random, shape};
  S::fields(self, walk);
  if (shape.flexible) self.unknown_tags = random_tags(random);
}

template <class M>
Shape shape_of(int16_t version) {
  return {version, version >= M::kApi.flexible_from};
}

template <class M>
Result<> check_version(int16_t version) {
  if (M::kApi.versions.contains(version)) return {};
  return fail(Errc::kUnsupported, fmt::format("{} has no version {}", M::kApi.name, version));
}

}  // namespace taffrail::protocol::walks

namespace taffrail::protocol {

template <class M>
Result<M> decode(const Slice& body, int16_t version) {
  TRY(walks::check_version<M>(version));
  Input in(body);
  M message;
  walks::decode_struct(in, walks::shape_of<M>(version), message);
  constexpr bool kRequest = requires { typename M::Response; };  // librdkafka 2.16's Metadata v13 for all topics is 3 bytes too long.
  if (!kRequest && !in.failed() && in.left() != 0) in.fail(fmt::format("{} bytes left over", in.left()));
  if (in.failed()) return fail(in.error(), fmt::format("{} v{}", M::kApi.name, version));
  return message;
}

template <class M>
Result<> encode_into(Output& out, const M& message, int16_t version) {
  TRY(walks::check_version<M>(version));
  walks::encode_struct(out, walks::shape_of<M>(version), message);
  if (out.error()) return fail(*out.error(), fmt::format("{} v{}", M::kApi.name, version));
  return {};
}

template <class M>
Result<Chain> encode(const M& message, int16_t version) {
  Output out;
  TRY(encode_into(out, message, version));
  return out.take();
}

template <class M>
Result<Chain> encode_request(int32_t correlation_id, const std::optional<std::string>& client_id,
                             const M& request, int16_t version) {
  Output out;
  start_request(out, M::kApi.key, version, correlation_id, client_id);
  TRY(encode_into(out, request, version));
  return out.take(true);
}

template <class M>
Result<Chain> encode_response(int32_t correlation_id, const M& response, int16_t version) {
  Output out;
  start_response(out, M::kApi.key, version, correlation_id);
  TRY(encode_into(out, response, version));
  return out.take(true);
}

template <class M>
Result<size_t> encoded_size(const M& message, int16_t version) {
  Output out(Output::Mode::kCount);
  TRY(encode_into(out, message, version));
  return out.size();
}

template <class M>
Printed print(const M& message, int16_t version) {
  Printer out;
  walks::print_struct(out, walks::shape_of<M>(version), message);
  return out.take();
}

template <class M>
M generate(Random& random, int16_t version) {
  M message;
  walks::generate_struct(random, walks::shape_of<M>(version), message);
  return message;
}

}  // namespace taffrail::protocol

/// Compiles the walks over one message, here and nowhere else. Requests and responses also get
/// their frames.
#define TAFFRAIL_REQUEST(M)                                                                      \
  template Result<Chain> encode_request<M>(int32_t, const std::optional<std::string>&, const M&, \
                                           int16_t);                                             \
  TAFFRAIL_MESSAGE(M)
#define TAFFRAIL_RESPONSE(M)                                             \
  template Result<Chain> encode_response<M>(int32_t, const M&, int16_t); \
  TAFFRAIL_MESSAGE(M)
#define TAFFRAIL_MESSAGE(M)                                     \
  template Result<M> decode<M>(const Slice&, int16_t);          \
  template Result<> encode_into<M>(Output&, const M&, int16_t); \
  template Result<Chain> encode<M>(const M&, int16_t);          \
  template Result<size_t> encoded_size<M>(const M&, int16_t);   \
  template Printed print<M>(const M&, int16_t);                 \
  template M generate<M>(Random&, int16_t)
