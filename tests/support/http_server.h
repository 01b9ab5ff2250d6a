// A small HTTP/1.1 server in a thread of the test, that can misbehave as told and counts what it sends.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/check.h"
#include "base/types.h"

namespace pronk::test {

class HttpServer {
 public:
  struct File {
    std::vector<u8> bytes;
    std::string etag = "\"one\"";
    std::string redirect = {};     // another path; the answer is then 302
    std::string linked_etag = {};  // X-Linked-Etag
    u64 more_than_there_is = 0;    // that the head promises
  };
  struct Request {
    std::string path, range;
    u64 body_sent = 0;
  };
  // All may be changed between requests.
  struct Manners {
    bool ranges = true;
    bool sizes = true;              // Content-Length; without it the end of the connection ends the body
    std::deque<int> statuses = {};  // of the next answers, instead of the file
    int retry_after = -1;           // sent with those, in seconds
    std::deque<u64> cuts = {};      // after so many bytes of a body the connection ends; one for each answer
    int status_after_cuts = 0;      // of all answers once a cut was made
    u64 stall = ~u64{0};            // after so many bytes a body stops until the other side hangs up
  };

  HttpServer() {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    CHECK(::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) == 0 && ::listen(listener_, 16) == 0);
    CHECK(::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) == 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~HttpServer() { stop(); }
  HttpServer(const HttpServer&) = delete;

  void stop() {
    if (!thread_.joinable()) return;
    stopping_ = true;
    thread_.join();
    ::close(listener_);
  }

  std::string url(const std::string& path) const { return "http://127.0.0.1:" + std::to_string(port_) + path; }

  template <class Change>
  void change(Change&& change) {
    const std::lock_guard lock(mutex_);
    change(files_, manners_);
  }
  void put(const std::string& path, std::vector<u8> bytes) {
    change([&](auto& files, auto&) { files[path] = File{.bytes = std::move(bytes)}; });
  }
  // Once the answers on their way have gone out, or after a minute.
  std::vector<Request> take_requests() {
    std::unique_lock lock(mutex_);
    answered_.wait_for(lock, std::chrono::minutes(1), [this] { return answering_ == 0; });
    return std::exchange(requests_, {});
  }
  u64 take_body_bytes() {
    u64 sum = 0;
    for (const Request& request : take_requests()) sum += request.body_sent;
    return sum;
  }

 private:
  void serve() {
    std::vector<std::thread> connections;
    while (!stopping_) {
      pollfd waiting{.fd = listener_, .events = POLLIN, .revents = 0};
      if (::poll(&waiting, 1, 20) <= 0) continue;
      const int connection = ::accept(listener_, nullptr, nullptr);
      if (connection < 0) continue;
      const int small = 64 << 10;  // little is on the way when the other side hangs up
      ::setsockopt(connection, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
      connections.emplace_back([this, connection] {
        while (!stopping_ && answer(connection)) {
        }
        ::close(connection);
      });
    }
    for (std::thread& each : connections) each.join();
  }

  // A request's head, or nothing when the other side is gone.
  std::optional<std::string> read_head(int connection) {
    std::string head;
    while (!stopping_ && head.find("\r\n\r\n") == head.npos && head.size() < 65536) {
      pollfd waiting{.fd = connection, .events = POLLIN, .revents = 0};
      if (::poll(&waiting, 1, 20) <= 0) continue;
      char part[4096];
      const ssize_t got = ::recv(connection, part, sizeof part, 0);
      if (got <= 0) return std::nullopt;
      head.append(part, std::size_t(got));
    }
    return stopping_ ? std::nullopt : std::optional(head);
  }

  u64 send_all(int connection, const u8* data, u64 size) {
    u64 sent = 0;
    while (sent < size && !stopping_) {
      pollfd waiting{.fd = connection, .events = POLLOUT, .revents = 0};
      if (::poll(&waiting, 1, 20) <= 0) continue;
      const ssize_t done = ::send(connection, data + sent, std::min<u64>(size - sent, 16384), MSG_NOSIGNAL);
      if (done <= 0) break;
      sent += u64(done);
    }
    return sent;
  }

  void await_end(int connection) {
    char part;
    pollfd waiting{.fd = connection, .events = POLLIN, .revents = 0};
    while (!stopping_ && (::poll(&waiting, 1, 20) <= 0 || ::recv(connection, &part, 1, 0) > 0)) {
    }
  }

  struct Answer {
    std::string head;
    std::vector<u8> body;
    u64 cut = ~u64{0};
    u64 stall = ~u64{0};
    bool close = false;
  };

  Answer make_answer(const std::string& path, const std::string& range) {
    const std::lock_guard lock(mutex_);
    const auto plain = [](int status) { return "HTTP/1.1 " + std::to_string(status) + " so\r\n"; };
    const std::string empty = "Content-Length: 0\r\n\r\n";
    if (!manners_.statuses.empty()) {
      const int status = manners_.statuses.front();
      if (manners_.statuses.size() > 1 || status == 0)
        manners_.statuses.pop_front();  // the last one stays; 0: as usual
      const std::string wait =
          manners_.retry_after < 0 ? "" : "Retry-After: " + std::to_string(manners_.retry_after) + "\r\n";
      if (status != 0) return {.head = plain(status) + wait + empty};
    }
    if (cut_made_ && manners_.status_after_cuts != 0) return {.head = plain(manners_.status_after_cuts) + empty};
    const auto found = files_.find(path);
    if (found == files_.end()) return {.head = plain(404) + empty};
    return file_answer(found->second, range);
  }

  Answer file_answer(const File& file, const std::string& range) {
    std::string head = file.linked_etag.empty() ? "" : "X-Linked-Etag: " + file.linked_etag + "\r\n";
    if (!file.redirect.empty())
      return {.head = "HTTP/1.1 302 so\r\nLocation: " + file.redirect + "\r\n" + head + "Content-Length: 0\r\n\r\n"};
    const u64 size = file.bytes.size();
    u64 begin = 0, end = size;
    const bool part = manners_.ranges && range.starts_with("bytes=");
    if (part) {
      char* next = nullptr;
      begin = std::strtoull(range.c_str() + 6, &next, 10);
      if (*next == '-' && next[1] != 0) end = std::min<u64>(size, std::strtoull(next + 1, nullptr, 10) + 1);
      if (begin >= size)
        return {.head = "HTTP/1.1 416 so\r\nContent-Range: bytes */" + std::to_string(size) +
                        "\r\nContent-Length: 0\r\n\r\n"};
      head += "Content-Range: bytes " + std::to_string(begin) + "-" + std::to_string(end - 1) + "/" +
              std::to_string(size) + "\r\n";
    }
    if (!file.etag.empty()) head += "ETag: " + file.etag + "\r\n";
    if (manners_.sizes) head += "Content-Length: " + std::to_string(end - begin + file.more_than_there_is) + "\r\n";
    Answer answer{.head = std::string("HTTP/1.1 ") + (part ? "206" : "200") + " so\r\n" + head + "\r\n",
                  .body = {file.bytes.begin() + std::ptrdiff_t(begin), file.bytes.begin() + std::ptrdiff_t(end)},
                  .stall = manners_.stall,
                  .close = !manners_.sizes || file.more_than_there_is > 0};
    if (!manners_.cuts.empty()) {
      answer.cut = manners_.cuts.front();
      manners_.cuts.pop_front();
      cut_made_ = true;
    }
    return answer;
  }

  bool answer(int connection) {
    const auto head = read_head(connection);
    if (!head) return false;
    const std::size_t path_begin = head->find(' ') + 1;
    const std::string path = head->substr(path_begin, head->find(' ', path_begin) - path_begin);
    const std::size_t range_at = head->find("Range: ");
    const std::string range =
        range_at == head->npos ? "" : head->substr(range_at + 7, head->find("\r\n", range_at) - range_at - 7);
    ++answering_;
    const Answer answer = make_answer(path, range);
    send_all(connection, reinterpret_cast<const u8*>(answer.head.data()), answer.head.size());
    const u64 wanted = std::min<u64>({answer.cut, answer.stall, answer.body.size()});
    const u64 sent = send_all(connection, answer.body.data(), wanted);
    if (wanted == answer.stall) await_end(connection);
    const std::lock_guard lock(mutex_);
    requests_.push_back({path, range, sent});
    --answering_;
    answered_.notify_all();
    return sent == answer.body.size() && !answer.close;
  }

  int listener_ = -1;
  u16 port_ = 0;
  std::thread thread_;
  std::atomic<bool> stopping_ = false;
  std::atomic<u32> answering_ = 0;
  std::mutex mutex_;
  std::condition_variable answered_;
  std::map<std::string, File> files_;
  Manners manners_;
  bool cut_made_ = false;
  std::vector<Request> requests_;
};

}  // namespace pronk::test
