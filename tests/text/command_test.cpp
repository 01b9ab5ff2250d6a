// pronk tokenize and detokenize as programs call them.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "fixtures.h"

namespace pronk::text {
namespace {

class TokenizeCommand : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = testing::TempDir() + "pronk-tokenize-XXXXXX";
    ASSERT_NE(::mkdtemp(folder_.data()), nullptr);
    Fixture fixture = byte_fixture();
    ab_ = fixture.merge("a", "b");
    bos_ = fixture.add("<s>", 3);
    files::GgufWriter writer = fixture.writer();
    writer.add_u32("tokenizer.ggml.bos_token_id", bos_);
    const std::vector<u8> bytes = writer.header();
    write("vocab.gguf", {bytes.begin(), bytes.end()});
  }

  void TearDown() override {
    for (const char* name : {"/vocab.gguf", "/in", "/out", "/err"}) std::remove((folder_ + name).c_str());
    ::rmdir(folder_.c_str());
  }

  void write(const std::string& name, const std::string& text) {
    std::ofstream(folder_ + "/" + name, std::ios::binary) << text;
  }

  std::string read(const std::string& name) {
    std::ifstream file(folder_ + "/" + name, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  // Exit status; the output is in out_ and err_.
  int run(const std::string& command, const std::string& input) {
    write("in", input);
    const std::string path = folder_ + "/";
    const int status = std::system(("timeout 1500 " PRONK_BINARY_DIR "/pronk " + command + " -m " + path +
                                    "vocab.gguf < " + path + "in > " + path + "out 2> " + path + "err")
                                       .c_str());
    out_ = read("out");
    err_ = read("err");
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  void expect_one_line_of_error() const {
    EXPECT_EQ(std::count(err_.begin(), err_.end(), '\n'), 1) << err_;
    EXPECT_TRUE(err_.ends_with('\n'));
  }

  std::string folder_, out_, err_;
  u32 ab_ = 0, bos_ = 0;
};

TEST_F(TokenizeCommand, takes_the_input_verbatim) {
  EXPECT_EQ(run("tokenize", "ab<s>\n"), 0);
  EXPECT_EQ(out_, "[256,60,115,62,10]\n");
  EXPECT_EQ(run("tokenize --special --bos on", "ab<s>"), 0);
  EXPECT_EQ(out_, "[257,256,257]\n");
  EXPECT_EQ(run("tokenize", ""), 0);
  EXPECT_EQ(out_, "[]\n");
}

TEST_F(TokenizeCommand, json_lines) {
  EXPECT_EQ(run("tokenize --jsonl", "\"ab\\n\"\n\"\"\n\"\\u00e9\""), 0);
  EXPECT_EQ(out_, "[256,10]\n[]\n[195,169]\n");
  for (const char* bad : {"ab\n", "\"a\"\n3\n", "\"a\n", "\"a\"\n\n", "\"\xff\"\n", "\"\\ud800\"\n"}) {
    EXPECT_EQ(run("tokenize --jsonl", bad), 1) << bad;
    expect_one_line_of_error();
  }
}

TEST_F(TokenizeCommand, bad_usage) {
  EXPECT_EQ(run("tokenize --bos maybe", ""), 2);
  EXPECT_EQ(run("tokenize --nonsense", ""), 2);
}

TEST_F(TokenizeCommand, detokenize) {
  EXPECT_EQ(run("detokenize", "[256, 257, 10]"), 0);
  EXPECT_EQ(out_, "ab\n");
  EXPECT_EQ(run("detokenize --special", "[257,256]\n"), 0);
  EXPECT_EQ(out_, "<s>ab");
  EXPECT_EQ(run("detokenize", "[]"), 0);
  EXPECT_EQ(out_, "");
  for (const char* bad :
       {"", "[1", "{}", "[258]", "[-1]", "[1.5]", "[\"a\"]", "[4294967296]", "[18446744073709551616]"}) {
    EXPECT_EQ(run("detokenize", bad), 1) << bad;
    EXPECT_EQ(out_, "");
    expect_one_line_of_error();
  }
}

TEST_F(TokenizeCommand, a_file_without_a_tokenizer) {
  const std::vector<u8> bytes = files::GgufWriter().header();
  write("vocab.gguf", {bytes.begin(), bytes.end()});
  EXPECT_EQ(run("tokenize", "a"), 1);
  expect_one_line_of_error();
  EXPECT_NE(err_.find("tokenizer.ggml.model"), std::string::npos);
}

}  // namespace
}  // namespace pronk::text
