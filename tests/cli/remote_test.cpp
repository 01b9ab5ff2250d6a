// The program on models of a server: plan reads headers only, every command takes URLs, the cache serves the next time.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "cache.h"
#include "files/gguf.h"
#include "support/engine_model.h"
#include "support/files.h"
#include "support/http_server.h"
#include "synth_model.h"

namespace pronk::test {
namespace {

using nlohmann::json;

std::string text_of(const std::string& path) {
  const auto bytes = read_file(path);
  return bytes ? std::string(bytes->begin(), bytes->end()) : std::string();
}

class Remote : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = testing::TempDir() + "pronk-remote-XXXXXX";
    ASSERT_NE(::mkdtemp(folder_.data()), nullptr);
    small_ = model_files({.context = 64, .matrix = "Q8_0"})[0];
    server_.put("/small.gguf", small_);
    std::ofstream(path("small.gguf"), std::ios::binary)
        .write(reinterpret_cast<const char*>(small_.data()), std::streamsize(small_.size()));
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  // A model's real header, and zeros for its weights.
  u64 put_large(const std::string& name) {
    const cli::SynthModel model(cli::synth_presets()[0], *formats::find("Q4_0"));
    std::vector<u8> bytes = model.writer().header();
    const u64 header = bytes.size();
    const auto parsed = files::parse_gguf(bytes, std::nullopt);
    bytes.resize(parsed->gguf->end);
    server_.put(name, std::move(bytes));
    return header;
  }

  std::string path(const std::string& name) const { return folder_ + "/" + name; }
  std::string out() const { return text_of(path("out")); }
  std::string err() const { return text_of(path("err")); }

  int run(const std::string& arguments, const std::string& before = "") const {
    const std::string command = before + " XDG_CACHE_HOME=" + folder_ + " timeout 1500 " PRONK_BINARY_DIR "/pronk " +
                                arguments + " > " + path("out") + " 2> " + path("err");
    const int status = std::system(command.c_str());
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  json run_json(const std::string& arguments, int status = 0, const std::string& before = "") const {
    EXPECT_EQ(run(arguments + " --json", before), status) << arguments << "\n" << err();
    const json parsed = json::parse(out(), nullptr, false);
    EXPECT_TRUE(parsed.is_object()) << out();
    return parsed;
  }
  void expect_error(const std::string& arguments, int status, const std::string& part) const {
    EXPECT_EQ(run(arguments), status) << arguments;
    const std::string text = err();
    EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1) << text;
    EXPECT_NE(text.find(part), std::string::npos) << text;
  }
  // Tokens of a generation on the CPU.
  json tokens(const std::string& model, const std::string& more = "", const std::string& before = "") const {
    return run_json("generate -m " + model + " --tokens 5,6,7 -n 8 --ignore-eos --backend cpu " + more, 0,
                    before)["tokens"];
  }
  std::string cache() const { return folder_ + "/pronk"; }

  HttpServer server_;
  std::string folder_;
  std::vector<u8> small_;
};

TEST_F(Remote, PlanReadsLittleMoreThanTheHeader) {
  const u64 header = put_large("/large.gguf");
  ASSERT_GT(header, 1u << 20);
  for (const bool ranges : {true, false}) {
    server_.change([&](auto&, auto& manners) { manners.ranges = ranges; });
    server_.take_requests();
    const json plan = run_json("plan -m " + server_.url("/large.gguf") + " --profile webgpu-default");
    EXPECT_EQ(plan["fits"], true);
    EXPECT_EQ(plan["context_length"], 4096);
    EXPECT_EQ(plan["largest_context"], 8192);
    EXPECT_LE(plan["activations"].get<double>(), 1.05 * plan["activations_lower_bound"].get<double>());
    const auto requests = server_.take_requests();
    u64 sent = 0;
    for (const auto& request : requests) sent += request.body_sent;
    if (ranges) EXPECT_LE(sent, header + (2 << 20));
    EXPECT_LE(sent, header + (8 << 20));  // what the two systems' buffers take before it hangs up
  }
  EXPECT_FALSE(std::filesystem::exists(cache()));  // planning keeps nothing
}

TEST_F(Remote, PlanSaysWhetherItFits) {
  const std::string plan = "plan -m " + path("small.gguf");
  const json fits = run_json(plan + " --profile chrome-mali --ctx auto");
  EXPECT_EQ(fits["context_length"], 64);
  EXPECT_EQ(fits["device"], "chrome-mali");
  EXPECT_TRUE(fits["refusal"].is_null());
  const u64 total = fits["total"];
  const json over = run_json(plan + " --profile chrome-mali --budget 1M", 3);
  EXPECT_EQ(over["fits"], false);
  EXPECT_EQ(over["budget"], 1000000);
  EXPECT_NE(over["refusal"].get<std::string>().find("over the budget of 1.0 MB"), std::string::npos);
  EXPECT_NE(err().find("over the budget of 1.0 MB"), std::string::npos);
  const json tight = run_json(plan + " --profile chrome-mali --ctx auto --budget " + std::to_string(total - 1));
  EXPECT_LT(tight["context_length"], 64);
  EXPECT_LE(tight["total"], total - 1);
  EXPECT_EQ(run(plan + " --profile chrome-mali --budget 0.5G"), 0);
  EXPECT_NE(out().find("it fits"), std::string::npos);
  EXPECT_EQ(run("plan --profile list"), 0);
  EXPECT_NE(out().find("webgpu-default"), std::string::npos);
  expect_error(plan + " --profile nothing", 1, "there is no profile 'nothing'");
  expect_error(plan + " --profile swiftshader --allocate", 2, "--profile goes neither with");
  expect_error(plan + " --ctx 0 --backend cpu", 2, "--ctx is '0', neither auto nor");
  expect_error(plan + " --ctx some --backend cpu", 2, "--ctx is 'some'");
  for (const char* budget : {"0", "-1", "5X", "5MM", "1e400", "nan", "''"}) {
    expect_error(plan + " --backend cpu --budget=" + budget, 2, "not a number of bytes");
  }
}

TEST_F(Remote, GeneratesFromUrls) {
  const json expected = tokens(path("small.gguf"));
  EXPECT_EQ(tokens(server_.url("/small.gguf"), "--no-cache"), expected);
  EXPECT_FALSE(std::filesystem::exists(cache()));
  for (const bool ranges : {false, true}) {
    server_.change([&](auto&, auto& manners) { manners.ranges = ranges; });
    server_.take_requests();
    EXPECT_EQ(tokens(server_.url("/small.gguf")), expected);
    EXPECT_EQ(server_.take_body_bytes(), small_.size());
    EXPECT_EQ(run("cache delete " + server_.url("/small.gguf")), 0);
  }
  EXPECT_EQ(tokens(server_.url("/small.gguf"), "--cache " + path("elsewhere")), expected);
  EXPECT_TRUE(std::filesystem::exists(path("elsewhere")));
  server_.change([&](auto&, auto& manners) { manners.cuts = {700, 5, 20000}; });
  EXPECT_EQ(tokens(server_.url("/small.gguf")), expected);
  server_.stop();
  EXPECT_EQ(tokens(server_.url("/small.gguf")), expected);
  EXPECT_EQ(run("tokenize -m " + server_.url("/small.gguf") + " < /dev/null"), 0) << err();
  expect_error("generate -m " + server_.url("/other.gguf") + " --tokens 1 --backend cpu", 1,
               server_.url("/other.gguf"));
}

// Every part of the cache is on record as soon as it is there.
TEST_F(Remote, AKilledDownloadGoesOnWhereItWas) {
  std::vector<u8> padded = small_;  // a model and bytes behind it, which are kept too
  padded.resize(4 * cli::cache_part);
  for (u64 i = small_.size(); i < padded.size(); ++i) padded[i] = u8(i * i >> 8);
  server_.put("/padded.gguf", padded);
  server_.change([&](auto&, auto& manners) { manners.stall = 3 * cli::cache_part + cli::cache_part / 2; });
  const std::string url = server_.url("/padded.gguf"), folder = cache();
  const pid_t child = ::fork();
  if (child == 0) {
    const char* const arguments[] = {"pronk", "generate",  "-m",  url.c_str(), "--tokens",     "5",    "-n",
                                     "1",     "--backend", "cpu", "--cache",   folder.c_str(), nullptr};
    ::execv(PRONK_BINARY_DIR "/pronk", const_cast<char* const*>(arguments));
    ::_exit(127);
  }
  ASSERT_GT(child, 0);
  u64 kept = 0;
  const auto end = std::chrono::steady_clock::now() + std::chrono::minutes(10);
  while (kept < 3 * cli::cache_part && std::chrono::steady_clock::now() < end) {
    const auto entries = cli::list_entries(folder);
    kept = entries.empty() ? 0 : entries[0].have;
    ASSERT_EQ(::waitpid(child, nullptr, WNOHANG), 0) << "it ended by itself";
  }
  ::kill(child, SIGKILL);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  EXPECT_EQ(kept, 3 * cli::cache_part);
  server_.change([](auto&, auto& manners) { manners.stall = ~u64{0}; });
  server_.take_requests();
  EXPECT_EQ(tokens(url), tokens(path("small.gguf")));
  EXPECT_EQ(server_.take_body_bytes(), padded.size() - kept + 1);  // and one to ask whether the file is the same
  EXPECT_EQ(read_file(cli::entry_folder(folder, url) + "/data"), padded);
}

TEST_F(Remote, SplitModelsAndHuggingFace) {
  const json expected = tokens(path("small.gguf"));
  const ModelFiles splits = model_files({.context = 64, .matrix = "Q8_0", .splits = 3});
  for (u32 i = 0; i < 3; ++i)
    server_.put("/owner/repo/resolve/main/m-0000" + std::to_string(i + 1) + "-of-00003.gguf", splits[i]);
  EXPECT_EQ(tokens(server_.url("/owner/repo/resolve/main/m-00002-of-00003.gguf")), expected);
  const std::string endpoint = "PRONK_HF_ENDPOINT=" + server_.url("");
  EXPECT_EQ(tokens("hf:owner/repo/m-00001-of-00003.gguf", "", endpoint), expected);
  EXPECT_EQ(cli::list_entries(cache()).size(), 3u);
  // A commit cannot change: a complete entry of one asks nothing.
  const std::string commit(40, 'c');
  server_.put("/owner/repo/resolve/" + commit + "/small.gguf", small_);
  EXPECT_EQ(tokens("hf:owner/repo@" + commit + "/small.gguf", "", endpoint), expected);
  server_.take_requests();
  EXPECT_EQ(tokens("hf:owner/repo@" + commit + "/small.gguf", "", endpoint), expected);
  EXPECT_TRUE(server_.take_requests().empty());
  expect_error("plan -m hf:repo --backend cpu", 1, "is not hf:owner/repo, hf:owner/repo:TYPE, hf:owner/repo/file.gguf");
  const std::string list = R"([{"path": "m-00001-of-00003.gguf"}, {"path": "m-00002-of-00003.gguf"}])";
  server_.put("/api/models/owner/repo/tree/main?recursive=1", {list.begin(), list.end()});
  EXPECT_EQ(tokens("hf:owner/repo", "", endpoint), expected);
  // As one file: the parts' tensors, from a server and from here.
  ASSERT_EQ(run("convert hf:owner/repo " + path("whole.gguf"), endpoint), 0) << err();
  EXPECT_EQ(tokens(path("whole.gguf")), expected);
  ASSERT_EQ(run("convert --no-cache " + server_.url("/small.gguf ") + path("one.gguf")), 0) << err();
  EXPECT_EQ(read_file(path("one.gguf")), read_file(path("whole.gguf")));
}

TEST_F(Remote, WrongFilesAreOneLine) {
  const std::string plan = "plan --backend cpu -m ";
  expect_error(plan + server_.url("/nothing.gguf"), 1, "HTTP status 404");
  server_.put("/text", {'h', 'e', 'l', 'l', 'o'});
  expect_error(plan + server_.url("/text"), 1, "magic: not a GGUF file");
  server_.put("/empty", {});
  expect_error(plan + server_.url("/empty"), 1, "empty");
  server_.put("/short.gguf", {small_.begin(), small_.begin() + 200});
  expect_error(plan + server_.url("/short.gguf"), 1, server_.url("/short.gguf"));
  server_.put("/cut.gguf", {small_.begin(), small_.end() - 100});
  expect_error("generate --tokens 1 --backend cpu -m " + server_.url("/cut.gguf"), 1, server_.url("/cut.gguf"));
  expect_error(plan + "ftp://host/file", 1, "is not an http or https URL");
}

TEST_F(Remote, TheCacheCommand) {
  const std::string url = server_.url("/small.gguf");
  tokens(url);
  EXPECT_EQ(run("cache list"), 0);
  EXPECT_NE(out().find(url), std::string::npos);
  EXPECT_EQ(run("cache size"), 0);
  EXPECT_EQ(out(), std::to_string(small_.size()) + "\n");
  EXPECT_EQ(run("cache pin " + url), 0);
  EXPECT_EQ(run("cache list --json"), 0);
  const json list = json::parse(out(), nullptr, false);
  ASSERT_EQ(list.size(), 1u);
  EXPECT_EQ(list[0]["url"], url);
  EXPECT_EQ(list[0]["complete"], true);
  EXPECT_EQ(list[0]["pinned"], true);
  EXPECT_EQ(run("cache clear"), 0);
  EXPECT_EQ(cli::list_entries(cache()).size(), 1u);
  EXPECT_EQ(run("cache unpin " + url), 0);
  EXPECT_EQ(run("cache clear"), 0);
  EXPECT_EQ(cli::list_entries(cache()).size(), 0u);
  expect_error("cache delete " + url, 1, "the cache has no '" + url + "'");
  expect_error("cache", 2, "ACTION is missing");
  expect_error("cache sing", 2, "ACTION is one of");
  expect_error("cache pin", 2, "MODEL is missing");
  expect_error("cache list " + url, 2, "unexpected argument");
}

}  // namespace
}  // namespace pronk::test
