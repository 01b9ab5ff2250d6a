// A file on an HTTP server, read by position: one connection, Range requests, retries with back-off. Through libcurl.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/types.h"

namespace pronk::cli {

constexpr u64 near_bytes = 256 << 10;  // a gap that is read through rather than asked for anew

// What a server says of a file; empty or absent where it says nothing.
struct RemoteInfo {
  std::optional<u64> size = {};
  std::string etag = {};         // of the file's own server, as sent
  std::string linked_etag = {};  // X-Linked-Etag of a server that redirects to another (Hugging Face)
  bool ranges = false;           // answers Range requests (RFC 9110 §14)

  std::string identity() const { return linked_etag.empty() ? etag : linked_etag; }  // to be kept with the bytes
  std::string sha256() const;  // of the file, 64 hex digits, where the linked ETag is one; else empty
  // Whether a file that was kept with this identity and size may be the same one: neither differs, where both are
  // known.
  bool matches(std::string_view kept_identity, std::optional<u64> kept_size) const;
};

// The URL in the one spelling that names it (no fragment, no default port); an error when it is not an http(s) URL.
Result<std::string> normal_url(const std::string& url);

// Errors are one line that names the URL. A request that fails with a cut connection, a time-out, 408, 429 or 5xx is
// tried again from where it stopped (but a server that was never reached is not), at most five times in a row, after
// 0.25 s doubling or what Retry-After asks (30 s at most). Up to ten redirects are followed, none from https to http. A
// file that changes while it is read (ETag or size) is an error. $SSL_CERT_FILE, when set, names the certificates that
// are trusted in place of the system's.
class HttpFile {
 public:
  explicit HttpFile(std::string url);
  HttpFile(HttpFile&&) noexcept;
  HttpFile& operator=(HttpFile&&) noexcept;
  ~HttpFile();

  const std::string& url() const;
  const RemoteInfo& info() const;  // of the first response

  // Fills `into` from byte `position` on and returns its size, or less: at the end of the file, where the next read
  // gives nothing, or before an error, which the next read then gives. No byte from `until` on will be wanted: a server
  // with ranges is not asked for more. Reading on where the last read ended goes on with its response.
  Result<u64> read(u64 position, std::span<u8> into, u64 until = ~u64{0});
  // Asks for a response that starts at `position` and waits for its head: info() is known then.
  Status open(u64 position, u64 until, bool retry);
  void close();         // hangs up
  long status() const;  // of the last response; 0: none came

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace pronk::cli
