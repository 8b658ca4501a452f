// Many clients in one thread: each on a connection of its own, with at most one question on its way.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "wire.h"

namespace taffrail::bench {

class Crowd {
 public:
  Crowd(uint16_t port, size_t clients);
  ~Crowd();
  Crowd(const Crowd&) = delete;
  Crowd& operator=(const Crowd&) = delete;

  size_t size() const { return clients_.size(); }
  bool waits(size_t client) const { return clients_[client].waits; }

  template <class Request>
  void ask(size_t client, const Request& request, int16_t version) {
    const auto frame = protocol::encode_request(1, "bench", request, version);
    if (!frame) die("encode: " + frame.error().text());
    send(client, frame->flat());
  }
  struct Answer {
    size_t client = 0;
    Slice frame;  ///< Less its length.
    template <class Response>
    Response as(int16_t version) const {
      auto header = protocol::decode_response_header(frame, Response::kApi.key, version);
      if (!header) die("an answer does not decode: " + header.error().text());
      auto body = protocol::decode<Response>(header->body, version);
      if (!body) die("an answer does not decode: " + body.error().text());
      return *std::move(body);
    }
  };
  /// What has come by `until` at the latest: returns as soon as something has.
  std::vector<Answer> wait(double until);

 private:
  struct Client {
    int fd = -1;
    bool waits = false;
    std::string in;
  };
  void send(size_t client, ByteView frame);

  std::vector<Client> clients_;
  int epoll_ = -1;
};

}  // namespace taffrail::bench
