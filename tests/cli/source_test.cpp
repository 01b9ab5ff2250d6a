// Files from a server that misbehaves, with and without the cache: every byte arrives, and the entry is never wrong.
#include "source.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>

#include "cache.h"
#include "http.h"
#include "support/files.h"
#include "support/http_server.h"
#include "support/tls_server.h"

namespace pronk::cli {
namespace {

using test::HttpServer;

std::vector<u8> some_bytes(u64 size, u32 seed = 1) {
  std::mt19937 random(seed);
  std::vector<u8> bytes(size);
  for (u8& byte : bytes) byte = u8(random());
  return bytes;
}

constexpr u64 file_size = 2 * cache_part + 123457;

class Source : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = testing::TempDir() + "pronk-source-XXXXXX";
    ASSERT_NE(::mkdtemp(folder_.data()), nullptr);
    bytes_ = some_bytes(file_size);
    server_.put("/file", bytes_);
    url_ = server_.url("/file");
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  Result<std::unique_ptr<ByteSource>> open(bool header_only = false) const {
    return open_source(url_, {.cache = folder_, .header_only = header_only});
  }

  // The whole file in pieces of some size; nothing when there is an error, which error_ then holds.
  std::vector<u8> read_all(ByteSource& source, u64 piece = 1 << 20) {
    std::vector<u8> got;
    for (;;) {
      const u64 have = got.size();
      got.resize(have + piece);
      const Result<u64> part = source.read(have, std::span(got).subspan(have), unknown_size);
      if (!part) {
        error_ = part.error().message;
        return {};
      }
      got.resize(have + *part);
      if (*part < piece) break;
    }
    const Status finished = source.finish();
    if (!finished) error_ = finished.error().message;
    return finished ? got : std::vector<u8>();
  }

  std::vector<u8> load() {
    error_.clear();
    auto source = open();
    if (!source) {
      error_ = source.error().message;
      return {};
    }
    return read_all(**source);
  }

  std::string entry(const std::string& name) const { return entry_folder(folder_, url_) + "/" + name; }
  nlohmann::json entry_json() const {
    const auto text = test::read_file(entry("entry.json"));
    return text ? nlohmann::json::parse(text->begin(), text->end(), nullptr, false) : nlohmann::json();
  }

  // A complete entry holds the file, its hashes, and says so.
  void expect_complete() const {
    EXPECT_EQ(test::read_file(entry("data")), bytes_);
    std::vector<u8> hashes;
    for (u64 at = 0; at < bytes_.size(); at += cache_part) {
      const Digest digest = sha256(std::span(bytes_).subspan(at, std::min<u64>(cache_part, bytes_.size() - at)));
      hashes.insert(hashes.end(), digest.begin(), digest.end());
    }
    EXPECT_EQ(test::read_file(entry("hashes")), hashes);
    const nlohmann::json json = entry_json();
    EXPECT_EQ(json["version"], 1);
    EXPECT_EQ(json["url"], url_);
    EXPECT_EQ(json["size"], bytes_.size());
    EXPECT_EQ(json["have"], bytes_.size());
    EXPECT_EQ(json["complete"], true);
  }

  HttpServer server_;
  std::string folder_, url_, error_;
  std::vector<u8> bytes_;
};

TEST_F(Source, HashesOfKnownTexts) {
  const auto hash = [](std::string_view text) {
    return hex(sha256({reinterpret_cast<const u8*>(text.data()), text.size()}));
  };
  EXPECT_EQ(hash(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(hash("abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");  // FIPS 180-4's own example
  EXPECT_EQ(entry_folder("/c", "abc"), "/c/ba7816bf8f01cfea414140de5dae2223");
}

TEST_F(Source, Locations) {
  ::setenv("PRONK_HF_ENDPOINT", "http://127.0.0.1:9/", 1);
  EXPECT_EQ(resolve_location("hf:owner/repo/file.gguf").value_or(""),
            "http://127.0.0.1:9/owner/repo/resolve/main/file.gguf");
  EXPECT_EQ(resolve_location("hf:o/r@v1.0/sub/file.gguf").value_or(""),
            "http://127.0.0.1:9/o/r/resolve/v1.0/sub/file.gguf");
  ::unsetenv("PRONK_HF_ENDPOINT");
  EXPECT_EQ(resolve_location("hf:o/r/f").value_or(""), "https://huggingface.co/o/r/resolve/main/f");
  EXPECT_EQ(resolve_location("hf:o/r").value_or(""), "https://huggingface.co/o/r/resolve/main/");
  EXPECT_EQ(resolve_location("hf:o/r@v1").value_or(""), "https://huggingface.co/o/r/resolve/v1/");
  EXPECT_EQ(folder_of("https://h/o/r/"), "https://h/o/r/");
  EXPECT_EQ(folder_of("https://h/o/config.json"), "https://h/o/");
  EXPECT_EQ(folder_of("https://h/o/r"), "");
  for (const char* bad : {"hf:", "hf:file.gguf", "hf:/repo/file", "hf:owner/", "hf:owner/repo/f/", "hf:owner//file",
                          "hf:o/r@/f", "hf:o/../f/g"}) {
    EXPECT_FALSE(resolve_location(bad)) << bad;
  }
  EXPECT_EQ(resolve_location("HTTP://Host:80/a b#part").value_or(""), "http://Host/a%20b");
  EXPECT_FALSE(resolve_location("ftp://host/file"));
  EXPECT_EQ(resolve_location("some/file.gguf").value_or(""), "some/file.gguf");
  EXPECT_EQ(part_locations("http://h/d/m-00002-of-00003.gguf?x=/1"),
            (std::vector<std::string>{"http://h/d/m-00001-of-00003.gguf?x=/1", "http://h/d/m-00002-of-00003.gguf?x=/1",
                                      "http://h/d/m-00003-of-00003.gguf?x=/1"}));
  EXPECT_EQ(part_locations("d/m.gguf"), std::vector<std::string>{"d/m.gguf"});
}

TEST_F(Source, DownloadsOnceAndKeepsIt) {
  EXPECT_EQ(load(), bytes_);
  EXPECT_EQ(server_.take_body_bytes(), file_size);
  expect_complete();
  EXPECT_EQ(entry_json()["etag"], "\"one\"");
  EXPECT_EQ(load(), bytes_);
  EXPECT_EQ(server_.take_body_bytes(), 1u);  // the question whether it has changed
  server_.stop();
  EXPECT_EQ(load(), bytes_);  // and without the server
}

TEST_F(Source, WithoutTheCache) {
  auto source = open_source(url_, {});
  ASSERT_TRUE(source);
  EXPECT_EQ(read_all(**source), bytes_);
  EXPECT_TRUE(std::filesystem::is_empty(folder_));
  for (const u64 at : {u64{5}, u64{4000000}, u64{0}, file_size - 3}) {
    std::vector<u8> some(100);
    const auto got = (*source)->read(at, some, unknown_size);
    ASSERT_TRUE(got) << got.error().message;
    EXPECT_EQ(*got, std::min<u64>(100, file_size - at));
    EXPECT_TRUE(std::equal(some.begin(), some.begin() + i64(*got), bytes_.begin() + i64(at)));
  }
}

TEST_F(Source, ServersWithoutRangesOrSizes) {
  for (const bool sizes : {true, false}) {
    server_.change([&](auto&, auto& manners) { manners.ranges = false, manners.sizes = sizes; });
    auto plain = open_source(url_, {});
    ASSERT_TRUE(plain);
    EXPECT_EQ(read_all(**plain), bytes_) << sizes << error_;
    EXPECT_EQ(load(), bytes_) << sizes << error_;
    expect_complete();
    ASSERT_TRUE(delete_entry(folder_, url_));
  }
}

// A download that is cut at any byte, in a process that then ends, goes on from there.
TEST_F(Source, ResumesAfterACutAtFiftyPlaces) {
  std::mt19937 random(7);
  for (u32 i = 0; i < 50; ++i) {
    const u64 cut = i == 0 ? cache_part : i == 1 ? 1 : 1 + random() % (file_size - 1);
    server_.change([&](auto&, auto& manners) { manners.cuts = {cut}, manners.statuses = {0, 404}; });
    EXPECT_TRUE(load().empty());
    EXPECT_NE(error_.find("HTTP status 404"), std::string::npos) << error_;
    EXPECT_EQ(entry_json()["have"], cut);
    EXPECT_EQ(entry_json()["complete"], false);
    server_.change([&](auto&, auto& manners) { manners.statuses.clear(); });
    server_.take_requests();
    ASSERT_EQ(load(), bytes_) << "cut at " << cut << ": " << error_;
    EXPECT_EQ(server_.take_body_bytes(), file_size - cut + 1) << cut;
    expect_complete();
    ASSERT_TRUE(delete_entry(folder_, url_));
    EXPECT_TRUE(std::filesystem::is_empty(folder_));
  }
}

TEST_F(Source, CutsWhileLoadingAreTriedAgain) {
  for (const bool ranges : {true, false}) {
    server_.change(
        [&](auto&, auto& manners) { manners.ranges = ranges, manners.cuts = {100000, 3000000, 4200000, 2}; });
    EXPECT_EQ(load(), bytes_) << error_;
    expect_complete();
    ASSERT_TRUE(delete_entry(folder_, url_));
  }
}

TEST_F(Source, BusyServers) {
  server_.change([&](auto&, auto& manners) { manners.statuses = {503, 500, 429, 0}, manners.retry_after = 0; });
  EXPECT_EQ(load(), bytes_) << error_;
  ASSERT_TRUE(delete_entry(folder_, url_));
  server_.take_requests();
  server_.change([&](auto&, auto& manners) { manners.statuses = {429}; });
  EXPECT_TRUE(load().empty());
  EXPECT_NE(error_.find(url_ + "': HTTP status 429"), std::string::npos) << error_;
  EXPECT_EQ(server_.take_requests().size(), 6u);
  server_.change([&](auto&, auto& manners) { manners.statuses = {404}; });
  EXPECT_TRUE(load().empty());
  EXPECT_EQ(server_.take_requests().size(), 1u);
}

TEST_F(Source, PromisesMoreThanThereIs) {
  server_.change([&](auto& files, auto& manners) { files["/file"].more_than_there_is = 10, manners.ranges = false; });
  EXPECT_TRUE(load().empty());
  EXPECT_NE(error_.find("after 5 retries"), std::string::npos) << error_;
  EXPECT_EQ(entry_json()["complete"], false);
}

TEST_F(Source, AChangedFileStartsAnew) {
  EXPECT_EQ(load(), bytes_);
  bytes_ = some_bytes(file_size, 2);
  server_.change([&](auto& files, auto&) { files["/file"] = {.bytes = bytes_, .etag = "\"two\""}; });
  EXPECT_EQ(load(), bytes_);
  expect_complete();
  bytes_ = some_bytes(file_size - 77, 3);  // the same ETag, but shorter
  server_.change([&](auto& files, auto&) { files["/file"] = {.bytes = bytes_, .etag = "\"two\""}; });
  EXPECT_EQ(load(), bytes_);
  expect_complete();
  // While it is read: an error, as one half is of another file.
  auto source = open_source(url_, {});
  ASSERT_TRUE(source);
  std::vector<u8> part(1000);
  ASSERT_TRUE((*source)->read(0, part, part.size()));
  server_.change([&](auto& files, auto&) { files["/file"].etag = "\"three\""; });
  const auto late = (*source)->read(part.size(), part, unknown_size);
  ASSERT_FALSE(late);
  EXPECT_NE(late.error().message.find("the file has changed on the server"), std::string::npos) << late.error().message;
}

TEST_F(Source, ACutThenAnotherFile) {
  server_.change([&](auto&, auto& manners) { manners.cuts = {5000000}, manners.statuses = {0, 404}; });
  EXPECT_TRUE(load().empty());
  bytes_ = some_bytes(file_size, 9);
  server_.change([&](auto& files, auto& manners) {
    files["/file"] = {.bytes = bytes_, .etag = "\"two\""}, manners.statuses.clear();
  });
  EXPECT_EQ(load(), bytes_) << error_;
  expect_complete();
}

TEST_F(Source, DamagedBytesInTheCache) {
  EXPECT_EQ(load(), bytes_);
  const auto damage = [&](u64 at) {
    std::fstream file(entry("data"), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(std::streamoff(at));
    file.put(char(bytes_[at] ^ 1));
  };
  for (const u64 at : {u64{0}, cache_part + 5, file_size - 1}) {
    damage(at);
    server_.take_requests();
    EXPECT_EQ(load(), bytes_) << error_;
    EXPECT_LE(server_.take_body_bytes(), cache_part + 1);
    expect_complete();
  }
  damage(cache_part);
  server_.stop();
  EXPECT_TRUE(load().empty());
  EXPECT_NE(error_.find("is damaged (bytes 4194304 to 8388608) and now removed"), std::string::npos) << error_;
  EXPECT_TRUE(std::filesystem::is_empty(folder_));
}

TEST_F(Source, DamagedEntriesCountAsEmpty) {
  const std::string good = "{\"version\":1,\"url\":\"" + url_ +
                           "\",\"etag\":null,\"size\":9000000,\"sha256\":null,\"have\":9000000,\"complete\":true,"
                           "\"pinned\":false,\"used\":1}";
  for (const std::string& text : {std::string("{"), std::string("[]"), std::string("{\"version\":2}"), good,
                                  std::string(100000, ' '), good.substr(0, good.find("\"have\"")) + "\"have\":-5}",
                                  good.substr(0, good.find("\"have\"")) + "\"have\":1e300}"}) {
    std::filesystem::create_directories(entry_folder(folder_, url_));
    std::ofstream(entry("entry.json")) << text;
    std::ofstream(entry("data")) << "short";
    EXPECT_EQ(load(), bytes_) << text << error_;
    expect_complete();
    ASSERT_TRUE(delete_entry(folder_, url_));
  }
}

TEST_F(Source, TwoAtOnce) {
  auto first = open();
  ASSERT_TRUE(first);
  std::vector<u8> half(5000000);
  ASSERT_TRUE((*first)->read(0, half, unknown_size));
  auto second = open();  // goes on without writing
  ASSERT_TRUE(second) << second.error().message;
  EXPECT_EQ(read_all(**second), bytes_) << error_;
  EXPECT_FALSE(delete_entry(folder_, url_));
  EXPECT_EQ(read_all(**first), bytes_) << error_;
  first->reset();
  expect_complete();
}

// The npm package takes the same lock (cache_lock.h).
TEST_F(Source, AnEntryThatAnotherProgramWritesIsLeftAlone) {
  char host[256] = {};
  ASSERT_EQ(::gethostname(host, sizeof host - 1), 0);
  const auto lock_of = [&](const std::string& process) { return process + " " + host + " " + std::string(32, 'a'); };
  std::filesystem::create_directories(entry_folder(folder_, url_));
  std::ofstream(entry("lock")) << lock_of(std::to_string(::getppid()));  // which lives
  EXPECT_EQ(load(), bytes_) << error_;
  EXPECT_TRUE(entry_json().is_null());
  EXPECT_FALSE(std::filesystem::exists(entry("data")));
  std::ofstream(entry("lock")) << lock_of("999999999");  // which cannot
  EXPECT_EQ(load(), bytes_) << error_;
  expect_complete();
  EXPECT_FALSE(std::filesystem::exists(entry("lock")));
  auto source = open();
  EXPECT_TRUE(std::filesystem::exists(entry("lock")));
}

TEST_F(Source, AnEntryThatWasTakenOverIsWrittenNoMore) {
  auto source = open();
  ASSERT_TRUE(source);
  std::vector<u8> half(5000000);
  ASSERT_TRUE((*source)->read(0, half, unknown_size));
  std::filesystem::remove(entry("lock"));  // as after a long sleep
  std::ofstream(entry("lock")) << "1 elsewhere " << std::string(32, 'a');
  const auto noted = test::read_file(entry("entry.json"));
  EXPECT_EQ(read_all(**source), bytes_) << error_;
  source->reset();
  EXPECT_EQ(test::read_file(entry("entry.json")), noted);
  EXPECT_TRUE(std::filesystem::exists(entry("lock")));
}

TEST_F(Source, AFullDiskIsNoError) {
  std::filesystem::create_directories(entry_folder(folder_, url_));
  std::filesystem::create_symlink("/dev/full", entry("hashes"));  // writes to it fail as those to a full disk
  EXPECT_EQ(load(), bytes_) << error_;
  std::filesystem::remove(entry("hashes"));
  EXPECT_EQ(load(), bytes_) << error_;
  expect_complete();
  auto nowhere = open_source(url_, {.cache = "/dev/null/cache"});
  ASSERT_TRUE(nowhere);
  EXPECT_EQ(read_all(**nowhere), bytes_);
}

TEST_F(Source, TheWholeFilesHashIsChecked) {
  const std::string hash = hex(sha256(bytes_));
  server_.change([&](auto& files, auto&) {
    files["/model"] = {.bytes = {}, .redirect = "/file", .linked_etag = '"' + hash + '"'};
  });
  url_ = server_.url("/model");
  EXPECT_EQ(load(), bytes_) << error_;
  expect_complete();
  EXPECT_EQ(entry_json()["sha256"], hash);
  EXPECT_EQ(load(), bytes_);
  // A hash that is known, with a cut on the way, and one that is wrong.
  ASSERT_TRUE(delete_entry(folder_, url_));
  server_.change([&](auto&, auto& manners) { manners.cuts = {6000000}, manners.statuses = {0, 0, 404}; });
  EXPECT_TRUE(load().empty());
  server_.change([&](auto&, auto& manners) { manners.statuses.clear(); });
  EXPECT_EQ(load(), bytes_) << error_;
  expect_complete();
  ASSERT_TRUE(delete_entry(folder_, url_));
  server_.change([&](auto& files, auto&) { files["/model"].linked_etag = '"' + std::string(64, 'a') + '"'; });
  EXPECT_TRUE(load().empty());
  EXPECT_NE(error_.find("the bytes have SHA-256 " + hash), std::string::npos) << error_;
  EXPECT_TRUE(std::filesystem::is_empty(folder_));
}

TEST_F(Source, RedirectsHaveAnEnd) {
  server_.change([&](auto& files, auto&) { files["/round"] = {.bytes = {}, .redirect = "/round"}; });
  auto source = open_source(server_.url("/round"), {});
  ASSERT_TRUE(source);
  std::vector<u8> some(10);
  const auto got = (*source)->read(0, some, unknown_size);
  ASSERT_FALSE(got);
  EXPECT_EQ(std::count(got.error().message.begin(), got.error().message.end(), '\n'), 0);
  EXPECT_LE(server_.take_requests().size(), 11u);
}

// A redirect from https to http would send the file, and who asks for it, in the clear.
TEST_F(Source, NoRedirectLeavesHttps) {
  const test::TlsServer tls(folder_);
  ASSERT_EQ(tls.error(), "");
  const auto read_some = [](const std::string& url) -> Result<std::string> {
    PRONK_TRY(const auto source, open_source(url, {}));
    std::vector<u8> some(100);
    PRONK_TRY(const u64 got, source->read(0, some, some.size()));
    return std::string(some.begin(), some.begin() + i64(got));
  };
  const auto redirect = [](const std::string& to) {
    return "HTTP/1.1 302 Found\r\nLocation: " + to + "\r\nContent-Length: 0\r\n\r\n";
  };
  tls.put("file", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
  tls.put("to-https", redirect(tls.url("file")));
  tls.put("to-http", redirect(url_));
  EXPECT_FALSE(read_some(tls.url("file")));  // nobody vouches for its certificate
  ::setenv("SSL_CERT_FILE", tls.certificates().c_str(), 1);
  EXPECT_EQ(read_some(tls.url("file")).value_or("nothing"), "hello");
  EXPECT_EQ(read_some(tls.url("to-https")).value_or("nothing"), "hello");
  server_.change([&](auto& files, auto&) { files["/to-https"] = {.bytes = {}, .redirect = tls.url("file")}; });
  EXPECT_EQ(read_some(server_.url("/to-https")).value_or("nothing"), "hello");
  server_.take_requests();
  const Result<std::string> refused = read_some(tls.url("to-http"));
  ::unsetenv("SSL_CERT_FILE");
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("http"), std::string::npos) << refused.error().message;
  EXPECT_EQ(std::count(refused.error().message.begin(), refused.error().message.end(), '\n'), 0);
  EXPECT_TRUE(server_.take_requests().empty());
}

TEST_F(Source, ListsPinsAndDeletes) {
  EXPECT_EQ(load(), bytes_);
  const std::string first = url_;
  server_.put("/other", {bytes_.begin(), bytes_.begin() + 1000});
  url_ = server_.url("/other");
  EXPECT_EQ(load().size(), 1000u);
  auto entries = list_entries(folder_);
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_EQ(entries[0].url, url_);  // used last
  EXPECT_EQ(entries[1].have, file_size);
  ASSERT_TRUE(pin_entry(folder_, first, true));
  ASSERT_TRUE(clear_cache(folder_));
  entries = list_entries(folder_);
  ASSERT_EQ(entries.size(), 1u);
  EXPECT_TRUE(entries[0].pinned);
  url_ = first;
  EXPECT_EQ(load(), bytes_);
  EXPECT_TRUE(list_entries(folder_)[0].pinned);  // still
  ASSERT_TRUE(pin_entry(folder_, first, false));
  ASSERT_TRUE(clear_cache(folder_));
  EXPECT_TRUE(list_entries(folder_).empty());
  EXPECT_FALSE(delete_entry(folder_, first));
  EXPECT_FALSE(pin_entry(folder_, first, true));
}

}  // namespace
}  // namespace pronk::cli
