#include "http.h"

#include <curl/curl.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <utility>
#include <vector>

#include "base/check.h"

namespace pronk::cli {

namespace {

using Clock = std::chrono::steady_clock;

constexpr u32 most_retries = 5;
constexpr auto first_pause = std::chrono::milliseconds(250);
constexpr auto longest_pause = std::chrono::seconds(30);
constexpr auto longest_silence = std::chrono::seconds(60);
constexpr long connect_seconds = 20;
constexpr u64 error_page_bytes = 64 << 10;

bool same_letters(std::string_view a, std::string_view lower) {
  return std::equal(a.begin(), a.end(), lower.begin(), lower.end(),
                    [](char x, char y) { return (x >= 'A' && x <= 'Z' ? char(x + 32) : x) == y; });
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && std::strchr(" \t\r\n", text.front())) text.remove_prefix(1);
  while (!text.empty() && std::strchr(" \t\r\n", text.back())) text.remove_suffix(1);
  return text;
}

std::optional<u64> number(std::string_view text) {
  u64 value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// A weak ETag and one without quotes name the same bytes here: some servers send both forms (RFC 9110 §8.8.3).
std::string_view bare_etag(std::string_view etag) {
  if (etag.starts_with("W/")) etag.remove_prefix(2);
  if (etag.size() >= 2 && etag.front() == '"' && etag.back() == '"') etag = etag.substr(1, etag.size() - 2);
  return etag;
}

bool may_mend(long status) { return status == 408 || status == 429 || (status >= 500 && status < 600); }

void start_curl() {
  static const bool started = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
  CHECK(started);
}

}  // namespace

std::string RemoteInfo::sha256() const {
  const std::string_view bare = bare_etag(linked_etag);
  const bool hex = bare.size() == 64 && bare.find_first_not_of("0123456789abcdef") == bare.npos;
  return hex ? std::string(bare) : std::string();
}

bool RemoteInfo::matches(std::string_view kept_identity, std::optional<u64> kept_size) const {
  if (size && kept_size && *size != *kept_size) return false;
  const std::string_view kept = bare_etag(kept_identity);
  if (kept.empty() || (etag.empty() && linked_etag.empty())) return true;
  return kept == bare_etag(etag) || kept == bare_etag(linked_etag);
}

Result<std::string> normal_url(const std::string& url) {
  start_curl();
  CURLU* parts = curl_url();
  if (!parts) return fail("out of memory");
  char *scheme = nullptr, *text = nullptr;
  bool good = curl_url_set(parts, CURLUPART_URL, url.c_str(), CURLU_URLENCODE) == CURLUE_OK &&
              curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
              (same_letters(scheme, "http") || same_letters(scheme, "https"));
  good = good && curl_url_set(parts, CURLUPART_FRAGMENT, nullptr, 0) == CURLUE_OK &&
         curl_url_get(parts, CURLUPART_URL, &text, CURLU_NO_DEFAULT_PORT) == CURLUE_OK;
  const std::string normal = good ? text : "";
  curl_free(scheme);
  curl_free(text);
  curl_url_cleanup(parts);
  if (!good) return fail("'" + url + "' is not an http or https URL");
  return normal;
}

struct HttpFile::State {
  explicit State(std::string from) : url(std::move(from)) {
    start_curl();
    easy = curl_easy_init();
    multi = curl_multi_init();
    CHECK(easy && multi);
  }
  ~State() {
    stop();
    curl_easy_cleanup(easy);
    curl_multi_cleanup(multi);
  }

  void start(u64 from, u64 until);
  void stop();
  Status step(Clock::time_point& last_sign);
  Status head();
  Status judge();
  Status finished(CURLcode code);
  Result<u64> take(std::span<u8> into);
  Result<u64> read_once(u64 from, std::span<u8> into, u64 until);
  Result<u64> short_of(u64 got, Error error);
  void pause_before(u32 attempt) const;
  std::unexpected<Error> error(const std::string& text) const { return fail("'" + url + "': " + text); }

  static std::size_t on_header(char* data, std::size_t, std::size_t size, void* self);
  static std::size_t on_body(char* data, std::size_t, std::size_t size, void* self);
  void header(std::string_view line);
  std::size_t body(const u8* data, std::size_t size);

  std::string url;
  CURL* easy = nullptr;
  CURLM* multi = nullptr;

  std::optional<RemoteInfo> first;  // of the first response
  bool retryable = false;           // the last error
  std::optional<Error> late_error;  // of the next read

  // The response that is being read.
  bool active = false;
  bool done = false;    // all of its body has arrived
  bool judged = false;  // its head has been looked at
  u64 asked_from = 0, asked_until = 0;
  u64 position = 0;      // in the file, of the next byte that body() gives
  u64 skip = 0;          // bytes of a body without ranges that are dropped first
  u64 received = 0;      // bytes of its body
  bool ignored = false;  // its body says nothing of the file
  bool paused = false;
  std::span<u8> target;  // where bytes go, and behind it
  std::vector<u8> spill;
  std::size_t spilled = 0;  // of `spill`, already taken
  std::optional<Error> body_error;
  char curl_text[CURL_ERROR_SIZE] = {};

  // Of its last head.
  long status = 0;
  std::optional<u64> content_length, range_start, range_total;
  std::string etag, linked_etag;
  bool encoded = false;
  std::optional<u64> retry_after;
};

void HttpFile::State::stop() {
  if (active) curl_multi_remove_handle(multi, easy);
  active = false;
}

void HttpFile::State::start(u64 from, u64 until) {
  stop();
  done = judged = paused = encoded = ignored = false;
  asked_from = position = from;
  asked_until = until;
  skip = received = 0;
  spill.clear();
  spilled = 0;
  body_error.reset();
  status = 0;
  content_length = range_start = range_total = retry_after = std::nullopt;
  etag.clear();
  linked_etag.clear();
  curl_text[0] = 0;

  curl_easy_reset(easy);
  curl_easy_setopt(easy, CURLOPT_URL, url.c_str());
  const bool secure = url.starts_with("https:");
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, secure ? "https" : "http,https");
  const char* const certificates = std::getenv("SSL_CERT_FILE");
  if (certificates && certificates[0]) curl_easy_setopt(easy, CURLOPT_CAINFO, certificates);
  curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 1L);
  curl_easy_setopt(easy, CURLOPT_MAXREDIRS, 10L);
  curl_easy_setopt(easy, CURLOPT_USERAGENT, "pronk/0.1");
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, connect_seconds);
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, long(CURL_HTTP_VERSION_1_1));
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, curl_text);
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, this);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, this);
  const std::string range = std::to_string(from) + "-" + (until == ~u64{0} ? "" : std::to_string(until - 1));
  curl_easy_setopt(easy, CURLOPT_RANGE, range.c_str());
  active = curl_multi_add_handle(multi, easy) == CURLM_OK;
  CHECK(active);
}

std::size_t HttpFile::State::on_header(char* data, std::size_t, std::size_t size, void* self) {
  static_cast<State*>(self)->header({data, size});
  return size;
}

// Every hop of a redirect has a head: what a later one says counts, but for what only the first server knows.
void HttpFile::State::header(std::string_view line) {
  line = trimmed(line);
  if (line.starts_with("HTTP/")) {
    const std::size_t space = line.find(' ');
    status = space == line.npos ? 0 : long(number(line.substr(space + 1, 3)).value_or(0));
    content_length = range_start = range_total = retry_after = std::nullopt;
    etag.clear();
    encoded = false;
    return;
  }
  const std::size_t colon = std::min(line.find(':'), line.size());
  const std::string_view name = line.substr(0, colon), value = trimmed(line.substr(std::min(colon + 1, line.size())));
  if (same_letters(name, "content-length")) content_length = number(value);
  if (same_letters(name, "etag")) etag = value.substr(0, 1024);
  if (same_letters(name, "x-linked-etag")) linked_etag = value.substr(0, 1024);
  if (same_letters(name, "retry-after")) retry_after = number(value);
  if (same_letters(name, "content-encoding")) encoded = !same_letters(value, "identity");
  if (same_letters(name, "content-range") && value.starts_with("bytes ")) {
    const std::string_view range = value.substr(6);
    const std::size_t dash = std::min(range.find('-'), range.size()), slash = range.find('/');
    range_start = number(range.substr(0, dash));
    if (slash != range.npos) range_total = number(range.substr(slash + 1));
  }
}

std::size_t HttpFile::State::on_body(char* data, std::size_t, std::size_t size, void* self) {
  return static_cast<State*>(self)->body(reinterpret_cast<const u8*>(data), size);
}

std::size_t HttpFile::State::body(const u8* data, std::size_t size) {
  if (!judged) {
    const Status good = judge();
    if (!good) body_error = good.error();
    ignored = ignored || body_error.has_value();
  }
  if (target.empty() && !ignored) {
    paused = true;
    return CURL_WRITEFUNC_PAUSE;
  }
  received += size;
  if (ignored) return received > error_page_bytes ? 0 : size;
  const std::size_t whole = size;
  const std::size_t dropped = std::min<u64>(skip, size);
  skip -= dropped;
  data += dropped;
  size -= dropped;
  const std::size_t taken = std::min(size, target.size());
  std::memcpy(target.data(), data, taken);
  target = target.subspan(taken);
  position += taken;
  spill.insert(spill.end(), data + taken, data + size);
  return whole;
}

// Looks at a complete head: sets where the body lies in the file, or says what is wrong.
Status HttpFile::State::judge() {
  judged = true;
  retryable = false;
  if (status == 416 && range_total && *range_total == asked_from) {  // nothing follows: the end of the file
    done = ignored = true;
    if (!first) first = RemoteInfo{.size = range_total, .etag = etag, .linked_etag = linked_etag, .ranges = true};
    return {};
  }
  if (status != 200 && status != 206) {
    retryable = may_mend(status);
    if (status == 416 && first) return error("the file is shorter than it was: it has changed on the server");
    return error("HTTP status " + std::to_string(status));
  }
  if (encoded) return error("the server sends the file compressed");
  RemoteInfo info{.size = content_length, .etag = etag, .linked_etag = linked_etag, .ranges = status == 206};
  if (info.ranges) {
    if (range_start != asked_from) return error("the server answers with another range than was asked for");
    info.size = range_total;
  } else {
    skip = asked_from;
    asked_until = ~u64{0};  // it sends everything
  }
  if (first && !info.matches(first->identity(), first->size)) return error("the file has changed on the server");
  if (!first) first = info;
  return {};
}

// After libcurl said that the transfer is over.
Status HttpFile::State::finished(CURLcode code) {
  stop();
  if (body_error) return std::unexpected(*body_error);
  if (code == CURLE_OK) {
    done = true;
    if (first && !first->size && !ignored) first->size = position + (spill.size() - spilled);
    return {};
  }
  const std::string text = curl_text[0] ? curl_text : curl_easy_strerror(code);
  const bool unreachable = code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST;
  retryable = (unreachable && first) || code == CURLE_OPERATION_TIMEDOUT || code == CURLE_PARTIAL_FILE ||
              code == CURLE_GOT_NOTHING || code == CURLE_RECV_ERROR || code == CURLE_SEND_ERROR ||
              code == CURLE_SSL_CONNECT_ERROR;
  return error(text.substr(0, text.find('\n')));
}

// Moves the transfer on, waiting at most a second.
Status HttpFile::State::step(Clock::time_point& last_sign) {
  const u64 before = received;
  const bool had_head = judged;
  if (paused && !target.empty()) {
    paused = false;
    curl_easy_pause(easy, CURLPAUSE_CONT);
  }
  int running = 0, messages = 0;
  if (curl_multi_perform(multi, &running) != CURLM_OK) return error("libcurl failed");
  while (const CURLMsg* message = curl_multi_info_read(multi, &messages)) {
    if (message->msg == CURLMSG_DONE) {
      const CURLcode code = message->data.result;
      if (!judged && code == CURLE_OK) {  // a head without a body
        const Status good = judge();
        if (!good) body_error = good.error();
      }
      return finished(code);
    }
  }
  if (had_head != judged || before != received) {
    last_sign = Clock::now();
    return {};
  }
  if (Clock::now() - last_sign > longest_silence) {
    stop();
    retryable = true;
    return error("the server has been silent for a minute");
  }
  if (!(paused && judged)) curl_multi_poll(multi, nullptr, 0, 1000, nullptr);
  return {};
}

// Waits for the head of the response that was started.
Status HttpFile::State::head() {
  target = {};
  Clock::time_point last_sign = Clock::now();
  while (active && !judged) PRONK_OK(step(last_sign));
  if (body_error) {
    stop();
    return std::unexpected(*body_error);
  }
  return {};
}

// Bytes that the response gives at its position: buffered ones, else new ones. 0 when it has ended.
Result<u64> HttpFile::State::take(std::span<u8> into) {
  Clock::time_point last_sign = Clock::now();
  const u64 start_at = position;
  while (position == start_at) {
    if (spilled < spill.size()) {
      const u64 taken = std::min<u64>(into.size(), spill.size() - spilled);
      std::memcpy(into.data(), spill.data() + spilled, taken);
      spilled += taken;
      position += taken;
      if (spilled == spill.size()) spill.clear(), spilled = 0;
    } else if (active) {
      target = into;
      const Status good = step(last_sign);
      target = {};
      if (!good && position == start_at) return std::unexpected(good.error());
    } else {
      break;
    }
  }
  return position - start_at;
}

Result<u64> HttpFile::State::read_once(u64 from, std::span<u8> into, u64 until) {
  if (first && first->size && from >= *first->size) return u64{0};
  const u64 buffered = spill.size() - spilled;
  const bool near = (active || buffered > 0) && from >= position && from - position <= near_bytes + buffered;
  if (!near || from >= asked_until) {
    start(from, until);
    PRONK_OK(head());
  }
  while (position < from) {
    u8 gap[16384];
    PRONK_TRY(const u64 dropped, take(std::span(gap).first(std::min<u64>(from - position, sizeof gap))));
    if (dropped == 0) return u64{0};
  }
  u64 got = 0;
  while (got < into.size()) {
    const Result<u64> part = take(into.subspan(got));
    if (!part && got == 0) return part;
    if (!part || *part == 0) break;
    got += *part;
  }
  return got;
}

// What came before an error is not lost: the error waits for the next read.
Result<u64> HttpFile::State::short_of(u64 got, Error error) {
  if (got == 0) return std::unexpected(std::move(error));
  late_error = std::move(error);
  return got;
}

void HttpFile::State::pause_before(u32 attempt) const {
  std::chrono::milliseconds pause = first_pause * (1 << attempt);
  if (retry_after) pause = std::chrono::milliseconds(std::min<u64>(*retry_after, 3600) * 1000);
  std::this_thread::sleep_for(std::min<std::chrono::milliseconds>(pause, longest_pause));
}

HttpFile::HttpFile(std::string url) : state_(std::make_unique<State>(std::move(url))) {}
HttpFile::HttpFile(HttpFile&&) noexcept = default;
HttpFile& HttpFile::operator=(HttpFile&&) noexcept = default;
HttpFile::~HttpFile() = default;

const std::string& HttpFile::url() const { return state_->url; }
void HttpFile::close() { state_->stop(), state_->spill.clear(), state_->spilled = 0; }

long HttpFile::status() const { return state_->status; }

const RemoteInfo& HttpFile::info() const {
  static const RemoteInfo nothing;
  return state_->first ? *state_->first : nothing;
}

Status HttpFile::open(u64 position, u64 until, bool retry) {
  for (u32 attempt = 0;; ++attempt) {
    state_->start(position, until);
    const Status good = state_->head();
    if (good || !retry || !state_->retryable || attempt == most_retries) return good;
    state_->pause_before(attempt);
  }
}

Result<u64> HttpFile::read(u64 position, std::span<u8> into, u64 until) {
  State& s = *state_;
  if (position >= until) return u64{0};
  if (s.late_error) {
    const Error late = *std::exchange(s.late_error, std::nullopt);
    return std::unexpected(late);
  }
  const u64 wanted = std::min<u64>(into.size(), until - position);
  u64 got = 0;
  for (u32 attempt = 0; got < wanted;) {
    s.retryable = false;
    const Result<u64> part = s.read_once(position + got, into.subspan(got, wanted - got), until);
    if (!part && !s.retryable) return s.short_of(got, part.error());
    if (part && *part > 0) {
      got += *part;
      attempt = 0;
      continue;
    }
    if (part && s.first && s.first->size && position + got >= *s.first->size) break;
    if (attempt == most_retries) {
      const std::string what = part ? "'" + s.url + "': the connection ends at byte " + std::to_string(position + got)
                                    : part.error().message;
      return s.short_of(got, {what + ", after " + std::to_string(attempt) + " retries"});
    }
    s.pause_before(attempt++);
  }
  return got;
}

}  // namespace pronk::cli
