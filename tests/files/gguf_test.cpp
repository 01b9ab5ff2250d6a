#include "files/gguf.h"

#include <gtest/gtest.h>

#include "base/bytes.h"
#include "files/ggml_types.h"
#include "files/gguf_writer.h"
#include "support/files.h"
#include "support/gguf.h"

namespace pronk::files {
namespace {

using test::RawGguf;
using test::write_gguf;

constexpr u32 f32 = 0, q4_0 = 2, q4_k = 12;

std::string error_of(const std::vector<u8>& bytes, bool size_known = true) {
  Result<GgufPrefix> parsed = parse_gguf(bytes, size_known ? std::optional<u64>(bytes.size()) : std::nullopt);
  if (parsed) return parsed->gguf ? "no error" : "needs " + std::to_string(parsed->bytes_needed);
  EXPECT_EQ(parsed.error().message.find('\n'), std::string::npos);
  return parsed.error().message;
}

GgufWriter small_writer(u32 alignment = 32) {
  GgufWriter writer(alignment);
  writer.add_string("general.architecture", "llama");
  writer.add_u32("llama.block_count", 2);
  const std::vector<std::string> words = {"one", "two", "three"};
  writer.add_strings("tokenizer.ggml.tokens", words);
  writer.add_tensor("a.weight", f32, std::vector<u64>{5, 3});
  writer.add_tensor("b.weight", q4_0, std::vector<u64>{64, 2, 3});
  writer.add_tensor("c.weight", q4_k, std::vector<u64>{256});
  return writer;
}

TEST(Gguf, ReadsWhatTheWriterWrites) {
  for (u32 alignment : {32u, 8u, 256u}) {
    const std::vector<u8> bytes = write_gguf(small_writer(alignment));
    Result<GgufPrefix> parsed = parse_gguf(bytes, bytes.size());
    ASSERT_TRUE(parsed && parsed->gguf) << (parsed ? "" : parsed.error().message);
    const Gguf& gguf = *parsed->gguf;
    EXPECT_EQ(gguf.version, 3u);
    EXPECT_EQ(gguf.alignment, alignment);
    EXPECT_EQ(*gguf.metadata.u32_at("llama.block_count"), 2u);
    EXPECT_EQ((*gguf.metadata.strings_at("tokenizer.ggml.tokens"))->string(2), "three");
    ASSERT_EQ(gguf.tensors.size(), 3u);
    EXPECT_EQ(gguf.data_offset % alignment, 0u);
    const TensorInfo* b = gguf.find("b.weight");
    ASSERT_NE(b, nullptr);
    EXPECT_EQ(b, &gguf.tensors[1]);
    EXPECT_EQ(b->type, q4_0);
    EXPECT_EQ(b->shape, (std::array<u64, 4>{64, 2, 3, 1}));
    EXPECT_EQ(b->dims, 3u);
    EXPECT_EQ(b->bytes, 2u * 18 * 6);
    EXPECT_EQ(b->weights(), 384u);
    EXPECT_EQ(b->rows(), 6u);
    EXPECT_EQ(b->offset, align_up(gguf.data_offset + 60, alignment));
    EXPECT_EQ(gguf.find("c.weight")->bytes, 144u);
    EXPECT_EQ(gguf.end, gguf.find("c.weight")->offset + 144);
    EXPECT_EQ(gguf.find("d.weight"), nullptr);
  }
}

TEST(Gguf, TensorDataLandsAtItsOffset) {
  const GgufWriter writer = small_writer();
  const auto bytes = write_gguf(writer, [&](u64 i) { return std::vector<u8>(writer.tensor_bytes(i), u8(i + 1)); });
  const Result<GgufPrefix> parsed = parse_gguf(bytes, bytes.size());
  for (u64 i = 0; i < 3; ++i) {
    const TensorInfo& tensor = parsed->gguf->tensors[i];
    for (u64 at = 0; at < tensor.bytes; ++at) ASSERT_EQ(bytes[tensor.offset + at], i + 1);
    EXPECT_EQ(bytes[tensor.offset - 1], 0u);
  }
}

TEST(Gguf, ReadsVersion2AndVocabularyOnlyFiles) {
  RawGguf raw;
  raw.version = 2;
  raw.key("k", 4).put(u32{1});
  const std::vector<u8> bytes = raw.bytes();
  const Result<GgufPrefix> parsed = parse_gguf(bytes, bytes.size());
  ASSERT_TRUE(parsed && parsed->gguf);
  EXPECT_EQ(parsed->gguf->version, 2u);
  EXPECT_TRUE(parsed->gguf->tensors.empty());
  EXPECT_EQ(parsed->gguf->end, bytes.size());
}

TEST(Gguf, EveryPrefixAsksForMoreOrParses) {
  const std::vector<u8> bytes = write_gguf(small_writer());
  const u64 header = parse_gguf(bytes, bytes.size())->gguf->find("a.weight")->offset;
  for (u64 size = 0; size < bytes.size(); ++size) {
    const std::span<const u8> prefix = std::span(bytes).first(size);
    for (std::optional<u64> file_size : {std::optional<u64>(), std::optional<u64>(bytes.size())}) {
      const Result<GgufPrefix> parsed = parse_gguf(prefix, file_size);
      ASSERT_TRUE(parsed.has_value()) << size << ": " << parsed.error().message;
      if (parsed->gguf) {
        EXPECT_GT(size, header - 32);
      } else {
        EXPECT_LT(size, header);
        EXPECT_GT(parsed->bytes_needed, size);
        EXPECT_GE(parsed->bytes_needed, std::min<u64>(size + size / 4, bytes.size()));
        if (file_size) {
          EXPECT_LE(parsed->bytes_needed, *file_size);
        }
      }
    }
    if (size < header - 32) {  // the same prefix as a whole file is cut short
      const std::string error = error_of({prefix.begin(), prefix.end()});
      EXPECT_NE(error.find("runs past the end of the file"), std::string::npos) << size;
    }
  }
}

TEST(Gguf, AskingIsLinear) {
  RawGguf raw;
  raw.key("tokens", 9).put(u32{8}).put(u64{300000});
  for (int i = 0; i < 300000; ++i) raw.put(std::string_view("token"));
  const std::vector<u8> bytes = raw.bytes();
  u64 size = 0, read = 0;
  int rounds = 0;
  for (;; ++rounds) {
    ASSERT_LT(rounds, 20);
    const Result<GgufPrefix> parsed = parse_gguf(std::span(bytes).first(size), bytes.size());
    ASSERT_TRUE(parsed.has_value());
    read += size;
    if (parsed->gguf) break;
    size = parsed->bytes_needed;
  }
  EXPECT_LE(read, 4 * bytes.size());
}

TEST(Gguf, KnowsTypesItCannotRun) {
  u32 known = 0;
  for (u32 id = 0; id < 64; ++id) {
    const GgmlType* type = find_ggml_type(id);
    if (!type || type->block_weights == 0) continue;
    ++known;
    EXPECT_EQ(find_ggml_type(type->name), type);
    RawGguf raw;
    raw.tensor("t", {type->block_weights, 2}, id, 0);
    const std::vector<u8> bytes = raw.bytes(2 * type->block_bytes);
    const Result<GgufPrefix> parsed = parse_gguf(bytes, bytes.size());
    ASSERT_TRUE(parsed && parsed->gguf) << type->name;
    EXPECT_EQ(parsed->gguf->tensors[0].bytes, 2 * type->block_bytes);
  }
  EXPECT_EQ(known, 35u);
  EXPECT_EQ(find_ggml_type("nothing"), nullptr);
}

TEST(GgufHostile, FixedHeader) {
  EXPECT_EQ(error_of({}), "magic runs past the end of the file (0 bytes)");
  EXPECT_EQ(error_of({'h', 'e', 'l', 'l', 'o'}), "magic: not a GGUF file");
  EXPECT_EQ(error_of({'G', 'G', 'U', 'F', 3, 0, 0, 0}),
            "tensor_count and metadata_kv_count runs past the end of the file (8 bytes)");
  RawGguf raw;
  raw.magic = 0x47475546;
  EXPECT_EQ(error_of(raw.bytes()), "magic: a big-endian GGUF file; pronk reads little-endian ones");
  raw = RawGguf();
  raw.version = 0x03000000;
  EXPECT_EQ(error_of(raw.bytes()), "version: a big-endian GGUF file; pronk reads little-endian ones");
  for (u32 version : {0u, 1u, 4u}) {
    raw.version = version;
    EXPECT_EQ(error_of(raw.bytes()),
              "version: GGUF version " + std::to_string(version) + " is not supported (2 and 3 are)");
  }
}

TEST(GgufHostile, HugeCounts) {
  RawGguf raw;
  raw.tensor_count = ~u64{0};
  EXPECT_EQ(error_of(raw.bytes()), "tensor_count 18446744073709551615 runs past the end of the file (24 bytes)");
  EXPECT_EQ(error_of(raw.bytes(), false),
            "tensor_count 18446744073709551615 makes the header longer than 1073741824 bytes");
  raw.tensor_count = 0;
  raw.metadata_count = u64{1} << 40;
  EXPECT_EQ(error_of(raw.bytes()), "metadata_kv_count 1099511627776 runs past the end of the file (24 bytes)");
  EXPECT_EQ(error_of(raw.bytes(), false),
            "metadata_kv_count 1099511627776 makes the header longer than 1073741824 bytes");
  raw.metadata_count = 1000000;
  EXPECT_EQ(error_of(raw.bytes(), false), "needs 13000024");
}

TEST(GgufHostile, TensorEntries) {
  auto one = [](auto... arguments) {
    RawGguf raw;
    raw.tensor(arguments...);
    return error_of(raw.bytes(4096));
  };
  using Shape = std::initializer_list<u64>;
  const u64 big = u64{1} << 62;
  EXPECT_EQ(one("t", Shape{32, 4}, q4_0, u64{0}), "no error");
  EXPECT_EQ(one("", Shape{1}, f32, u64{0}), "tensor 0: the name is empty");
  EXPECT_EQ(one(std::string(64, 'n'), Shape{1}, f32, u64{0}), "no error");
  EXPECT_EQ(one(std::string(65, 'n'), Shape{1}, f32, u64{0}), "tensor 0: a name of 65 bytes is longer than 64");
  EXPECT_EQ(one("t", Shape{}, f32, u64{0}), "tensor 't': 0 dimensions; 1 to 4 are allowed");
  EXPECT_EQ(one("t", Shape{1, 1, 1, 1, 1}, f32, u64{0}), "tensor 't': 5 dimensions; 1 to 4 are allowed");
  EXPECT_EQ(one("t", Shape{4, 0}, f32, u64{0}), "tensor 't': dimension 1 is 0");
  EXPECT_EQ(one("t", Shape{4}, 43u, u64{0}), "tensor 't': unknown type 43");
  EXPECT_EQ(one("t", Shape{4}, ~0u, u64{0}), "tensor 't': unknown type 4294967295");
  EXPECT_EQ(one("t", Shape{32}, 4u, u64{0}), "tensor 't': type 4 (Q4_2) was removed from GGUF");
  EXPECT_EQ(one("t", Shape{48}, q4_0, u64{0}),
            "tensor 't': a row of 48 is not a multiple of the 32 weights in a block of type 2 (Q4_0)");
  EXPECT_EQ(one("t", Shape{big, 4}, f32, u64{0}), "tensor 't': shape overflows 64 bits");
  EXPECT_EQ(one("t", Shape{big}, f32, u64{0}), "tensor 't': shape overflows 64 bits");
  EXPECT_EQ(one("t", Shape{1 << 30, 1 << 30, 1 << 30, 1 << 30}, q4_k, u64{0}), "tensor 't': shape overflows 64 bits");
}

TEST(GgufHostile, Offsets) {
  auto one = [](u64 offset, u64 size) {
    RawGguf raw;
    raw.tensor("t", {size}, f32, offset);
    return error_of(raw.bytes(128));  // the data starts at 64
  };
  EXPECT_EQ(one(0, 32), "no error");
  EXPECT_EQ(one(96, 8), "no error");
  EXPECT_EQ(one(4, 8), "tensor 't': offset 4 is not a multiple of the alignment 32");
  EXPECT_EQ(one(96, 9), "tensor 't': bytes 160 to 196 run past the end of the file (192 bytes)");
  EXPECT_EQ(one(0, u64{1} << 40), "tensor 't': bytes 64 to 4398046511168 run past the end of the file (192 bytes)");
  EXPECT_EQ(one(~u64{31}, 8), "tensor 't': offset 18446744073709551584 overflows 64 bits");
  EXPECT_EQ(one((u64{1} << 63) - 32, 64), "tensor 't': offset 9223372036854775776 overflows 64 bits");
  RawGguf far;  // beyond 4 GiB in a file whose size is not known
  far.tensor("t", {8}, f32, u64{5} << 30);
  const std::vector<u8> bytes = far.bytes(32);
  const Result<GgufPrefix> parsed = parse_gguf(bytes, std::nullopt);
  ASSERT_TRUE(parsed && parsed->gguf);
  EXPECT_EQ(parsed->gguf->tensors[0].offset, (u64{5} << 30) + 64);
}

TEST(GgufHostile, OverlapsAndDuplicates) {
  RawGguf raw;
  raw.tensor("late", {8}, f32, 32).tensor("early", {9}, f32, 0);
  EXPECT_EQ(error_of(raw.bytes(128)), "tensor 'late': its data overlaps that of tensor 'early'");
  raw = RawGguf();
  raw.tensor("late", {8}, f32, 32).tensor("early", {8}, f32, 0);
  EXPECT_EQ(error_of(raw.bytes(128)), "no error");
  raw = RawGguf();
  raw.tensor("same", {8}, f32, 0).tensor("same", {8}, f32, 32);
  EXPECT_EQ(error_of(raw.bytes(128)), "tensor 'same' is there twice");
}

TEST(GgufHostile, Alignment) {
  auto with = [](u64 alignment) { return error_of(RawGguf().key("general.alignment", 10).put(alignment).bytes()); };
  EXPECT_EQ(with(64), "no error");
  EXPECT_EQ(with(1 << 20), "no error");
  for (u64 bad : {u64{0}, u64{24}, u64{1} << 21, u64{1} << 32, ~u64{0}}) {
    EXPECT_EQ(with(bad),
              "metadata key 'general.alignment' is " + std::to_string(bad) + ", not a power of two up to 1048576");
  }
  EXPECT_EQ(error_of(RawGguf().key("general.alignment", 8).put(std::string_view("x")).bytes()),
            "metadata key 'general.alignment' is string, not an integer");
}

TEST(GgufHostile, EveryByteFlipped) {  // no crash, no sanitizer report, and errors stay one line
  std::vector<u8> bytes = write_gguf(small_writer());
  for (u64 at = 0; at < bytes.size(); ++at) {
    const u8 kept = bytes[at];
    for (u8 value : {u8(kept ^ 1), u8(kept ^ 0x80), u8{0}, u8{255}}) {
      bytes[at] = value;
      error_of(bytes);
      error_of(bytes, false);
    }
    bytes[at] = kept;
  }
}

TEST(GgufSplits, Names) {
  const std::optional<SplitName> name = parse_split_name("dir/model-Q4-00002-of-00003.gguf");
  ASSERT_TRUE(name.has_value());
  EXPECT_EQ(name->stem, "dir/model-Q4");
  EXPECT_EQ(name->number, 2u);
  EXPECT_EQ(name->count, 3u);
  EXPECT_EQ(split_name(*name), "dir/model-Q4-00002-of-00003.gguf");
  for (const char* other : {"model.gguf", "m-00004-of-00003.gguf", "m-00000-of-00003.gguf", "m-0001-of-00003.gguf",
                            "m-0000x-of-00003.gguf", "m-00001-of-00003.bin", "00001-of-00003.gguf", ""}) {
    EXPECT_FALSE(parse_split_name(other).has_value()) << other;
  }
  EXPECT_EQ(all_split_names("m-00002-of-00002.gguf"),
            (std::vector<std::string>{"m-00001-of-00002.gguf", "m-00002-of-00002.gguf"}));
  EXPECT_EQ(all_split_names("m.gguf"), std::vector<std::string>{"m.gguf"});
}

struct Split {
  u16 number, count;
  i32 tensors;
  std::string tensor;
};

Result<Gguf> join(const std::vector<Split>& splits) {
  std::vector<Gguf> headers;
  for (const Split& split : splits) {
    GgufWriter writer;
    writer.add_u16("split.no", split.number);
    writer.add_u16("split.count", split.count);
    writer.add_i32("split.tensors.count", split.tensors);
    writer.add_tensor(split.tensor, f32, std::vector<u64>{4});
    const std::vector<u8> bytes = write_gguf(writer);
    headers.push_back(std::move(*parse_gguf(bytes, bytes.size())->gguf));
  }
  return join_splits(std::move(headers));
}

TEST(GgufSplits, Join) {
  const Result<Gguf> joined = join({{0, 3, 3, "x"}, {1, 3, 3, "z"}, {2, 3, 3, "y"}});
  ASSERT_TRUE(joined.has_value()) << joined.error().message;
  ASSERT_EQ(joined->tensors.size(), 3u);
  EXPECT_EQ(joined->find("x")->file, 0u);
  EXPECT_EQ(joined->find("z")->file, 1u);
  EXPECT_EQ(joined->find("y")->file, 2u);
  EXPECT_EQ(joined->tensors[1].name, "z");
}

TEST(GgufSplits, JoinRefuses) {
  EXPECT_EQ(join({}).error().message, "splits: no file was given");
  EXPECT_EQ(join({{0, 2, 2, "x"}}).error().message, "split 1: metadata key 'split.count' is 2, not 1");
  EXPECT_EQ(join({{1, 2, 2, "x"}, {0, 2, 2, "y"}}).error().message, "split 1: metadata key 'split.no' is 1, not 0");
  EXPECT_EQ(join({{0, 2, 2, "x"}, {0, 2, 2, "y"}}).error().message, "split 2: metadata key 'split.no' is 0, not 1");
  EXPECT_EQ(join({{0, 2, 2, "x"}, {1, 3, 2, "y"}}).error().message, "split 2: metadata key 'split.count' is 3, not 2");
  EXPECT_EQ(join({{0, 2, 5, "x"}, {1, 2, 5, "y"}}).error().message,
            "metadata key 'split.tensors.count' is 5, but the splits hold 2 tensors");
  EXPECT_EQ(join({{0, 2, 2, "x"}, {1, 2, 2, "x"}}).error().message, "tensor 'x' is there twice");
}

TEST(GgufReal, SharedModelsParse) {
  u32 found = 0;
  for (const char* name : {"models/stories260K.gguf", "vectors/logits/models/mini-llama3-Q4_K.gguf",
                           "vectors/logits/models/mini-qwen3-Q8_0.gguf", "vectors/tokens/ggml-vocab-qwen2.gguf",
                           "vectors/tokens/ggml-vocab-llama-spm.gguf"}) {
    const auto bytes = test::read_file(test::shared_path(name));
    if (!bytes) continue;
    ++found;
    const Result<GgufPrefix> parsed = parse_gguf(*bytes, bytes->size());
    ASSERT_TRUE(parsed.has_value()) << name << ": " << parsed.error().message;
    EXPECT_TRUE(parsed->gguf->metadata.string_at("general.architecture").has_value()) << name;
    EXPECT_LE(parsed->gguf->end, bytes->size());
  }
  if (found == 0) GTEST_SKIP() << "../shared is not on this machine";
}

}  // namespace
}  // namespace pronk::files
