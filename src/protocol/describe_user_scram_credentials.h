// DescribeUserScramCredentials: with which passwords users may come in (KIP-554). There are none here, and kafka-configs
// asks for them whenever it describes a user.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "protocol/errors.h"
#include "protocol/fields.h"

namespace taffrail::protocol {

struct DescribeUserScramCredentialsResponse;

struct DescribeUserScramCredentialsRequest {
  static constexpr Api kApi{.key = ApiKey::kDescribeUserScramCredentials,
                            .name = "DescribeUserScramCredentialsRequest",
                            .versions = {0, 0},
                            .flexible_from = 0};
  using Response = DescribeUserScramCredentialsResponse;

  struct User {
    std::string name;
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) { walk("name", self.name); }
    bool operator==(const User&) const = default;
  };

  std::optional<std::vector<User>> users = std::vector<User>();  ///< Null or empty: all.
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) { walk("users", self.users); }
  bool operator==(const DescribeUserScramCredentialsRequest&) const = default;
};

struct DescribeUserScramCredentialsResponse {
  static constexpr Api kApi{.key = ApiKey::kDescribeUserScramCredentials,
                            .name = "DescribeUserScramCredentialsResponse",
                            .versions = {0, 0},
                            .flexible_from = 0};

  struct Credential {
    int8_t mechanism = 0;
    int32_t iterations = 0;
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("mechanism", self.mechanism);
      walk("iterations", self.iterations);
    }
    bool operator==(const Credential&) const = default;
  };

  struct Result {
    std::string user;
    ErrorCode error_code = ErrorCode::kNone;
    std::optional<std::string> error_message = {};
    std::vector<Credential> credential_infos = {};
    UnknownTags unknown_tags = {};

    static void fields(auto& self, auto& walk) {
      walk("user", self.user);
      walk("error_code", self.error_code);
      walk("error_message", self.error_message);
      walk("credential_infos", self.credential_infos);
    }
    bool operator==(const Result&) const = default;
  };

  int32_t throttle_time_ms = 0;  ///< How long the client shall stay quiet; 0: not at all.
  ErrorCode error_code = ErrorCode::kNone;
  std::optional<std::string> error_message = {};
  std::vector<Result> results = {};
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("throttle_time_ms", self.throttle_time_ms);
    walk("error_code", self.error_code);
    walk("error_message", self.error_message);
    walk("results", self.results);
  }
  bool operator==(const DescribeUserScramCredentialsResponse&) const = default;
};

}  // namespace taffrail::protocol
