// Loading: whatever the pieces in which a file comes, every byte reaches its place on the device.
#include <gtest/gtest.h>

#include <deque>

#include "engine/loader.h"
#include "engine/weight_memory.h"
#include "support/engine_driver.h"

namespace pronk {
namespace {

using test::FeedSize;
using test::ModelSpec;
using test::NullEngine;

// What each buffer holds after all writes.
std::vector<std::vector<u8>> contents(const gpu::NullDevice& device) {
  std::vector<std::vector<u8>> buffers;
  for (u32 id = 1; id <= device.counters().buffers_created; ++id)
    buffers.emplace_back(device.buffer(gpu::BufferId(id)).desc.size);
  for (const auto& write : device.writes()) {
    std::copy(write.contents.begin(), write.contents.end(),
              buffers[u32(write.buffer) - 1].begin() + std::ptrdiff_t(write.offset));
  }
  return buffers;
}

Result<std::vector<std::vector<u8>>> loaded(const test::ModelFiles& files, const FeedSize& size,
                                            const gpu::Limits& limits) {
  PRONK_TRY(auto model, test::open_model(files));
  PRONK_TRY(NullEngine e, NullEngine::create(model, {.context = 64}, {.limits = limits, .keep_write_contents = true}));
  PRONK_OK(test::feed(*e.engine, files, size));
  if (!e.engine->ready()) return fail("not ready after the last byte");
  if (!e.device->violations().empty()) return fail(e.device->violations().front());
  return contents(*e.device);
}

void expect_same_however_fed(const ModelSpec& spec, const gpu::Limits& limits = {},
                             std::vector<u64> steps = {1, 3, 7, 61, 4096, 10007}) {
  SCOPED_TRACE(spec.matrix + " width " + std::to_string(spec.width) + " splits " + std::to_string(spec.splits));
  const test::ModelFiles files = test::model_files(spec);
  const auto whole = loaded(files, [](u64 fits) { return fits; }, limits);
  ASSERT_TRUE(whole) << whole.error().message;
  for (const u64 step : steps) {
    const auto parts = loaded(files, [step](u64) { return step; }, limits);
    ASSERT_TRUE(parts) << parts.error().message;
    EXPECT_TRUE(*parts == *whole) << "fed " << step << " bytes at a time";
  }
  std::mt19937 random(7);
  const auto parts = loaded(files, [&](u64) { return u64{1} << random() % 15; }, limits);
  ASSERT_TRUE(parts) << parts.error().message;
  EXPECT_TRUE(*parts == *whole);
}

TEST(Loader, AllFormatsInAnyPieces) {
  for (const formats::Format& format : formats::table()) {
    const u32 block = format.block_weights;
    const std::string name(format.name);
    if (block == 1) {
      expect_same_however_fed({.layers = 1,
                               .width = 52,
                               .feed_forward = 75,
                               .heads = 2,
                               .kv_heads = 1,
                               .dim = 20,
                               .tied = false,
                               .matrix = name});
    } else if (block <= 32) {
      expect_same_however_fed({.layers = 1, .heads = 2, .kv_heads = 1, .dim = 32, .tied = false, .matrix = name});
    } else {
      expect_same_however_fed(
          {.layers = 1, .width = 256, .feed_forward = 256, .heads = 4, .kv_heads = 1, .dim = 64, .matrix = name}, {},
          {7, 61, 10007});
    }
  }
}

TEST(Loader, SplitFilesGapsAndUnusedTensors) {
  expect_same_however_fed({.arch = "qwen2", .matrix = "Q4_0", .shuffled = true, .splits = 3});
  expect_same_however_fed(
      {.arch = "qwen3", .width = 36, .feed_forward = 50, .matrix = "F16", .shuffled = true, .splits = 2});
  expect_same_however_fed(
      {.factors = true, .bias = true, .matrix = "BF16", .formats = {{"attn_v", "Q8_0"}}, .shuffled = true});
}

TEST(Loader, MatricesThatAreCut) {
  gpu::Limits limits;
  limits.max_storage_buffer_binding_size = 12000;
  limits.max_buffer_size = 40000;
  for (const char* format : {"F32", "F16", "Q8_0", "Q4_0"})
    expect_same_however_fed({.matrix = format, .shuffled = true}, limits);
}

// Larger than the staging buffer, with pieces that end on every kind of boundary.
TEST(Loader, TensorsLargerThanTheStagingBuffer) {
  for (const char* format : {"F32", "Q4_0"}) {
    const ModelSpec spec{.layers = 1,
                         .width = 1024,
                         .feed_forward = 1056,
                         .vocab = 9000,
                         .heads = 2,
                         .kv_heads = 1,
                         .dim = 32,
                         .matrix = format};
    const test::ModelFiles files = test::model_files(spec);
    const auto whole = loaded(files, [](u64 fits) { return fits; }, {});
    ASSERT_TRUE(whole) << whole.error().message;
    for (const u64 step : {65536u, 1u << 20, 1000003u}) {
      const auto parts = loaded(files, [step](u64) { return step; }, {});
      ASSERT_TRUE(parts) << parts.error().message;
      EXPECT_TRUE(*parts == *whole) << step;
    }
  }
}

// ---- Weights that share a tensor

// What a weight is given, in the order and pieces in which it comes.
class Collector final : public engine::WeightSink {
 public:
  explicit Collector(const graph::Graph& graph) : graph_(graph), bytes(graph.weights.size()) {}
  void write(graph::WeightId id, u64 first_block, u64 blocks, const u8* from, u32) override {
    const formats::Format& format = *graph_[id].format;
    EXPECT_EQ(first_block * format.block_bytes, bytes[u32(id)].size());
    EXPECT_TRUE(first_block % 4 == 0 || graph_[id].cols % 8 != 0);  // what planes of whole words need
    bytes[u32(id)].insert(bytes[u32(id)].end(), from, from + blocks * format.block_bytes);
  }

 private:
  const graph::Graph& graph_;

 public:
  std::vector<std::vector<u8>> bytes;
};

// A file of three tensors, of which `a` is [rows, cols] and `c` a vector written as a matrix.
struct SharedTensors {
  static constexpr u32 rows = 37;
  std::vector<u8> file;
  files::Gguf header;

  SharedTensors(std::string_view format, u32 cols) {
    files::GgufWriter writer;
    writer.add_string("general.architecture", "none");
    const u64 a[] = {cols, rows}, b[] = {64, 3}, c[] = {16, 8};
    writer.add_tensor("a", formats::find(format)->ggml_type, a);
    writer.add_tensor("b", formats::find("F16")->ggml_type, b);
    writer.add_tensor("c", formats::find("F32")->ggml_type, c);
    std::mt19937 random(1);
    file = test::write_gguf(writer, [&](u64 i) {
      const u64 sizes[] = {u64(rows) * cols / formats::find(format)->block_weights * formats::find(format)->block_bytes,
                           64 * 3 * 2, 16 * 8 * 4};
      std::vector<u8> bytes(sizes[i]);
      for (u8& byte : bytes) byte = u8(random());
      return bytes;
    });
    header = std::move(*files::parse_gguf(file, file.size())->gguf);
  }

  std::vector<u8> rows_of(const graph::Weight& weight) const {
    const u64 row = u64(weight.cols) / weight.format->block_weights * weight.format->block_bytes;
    const auto begin = file.begin() + std::ptrdiff_t(header.find(weight.name)->offset + weight.first_row * row);
    return {begin, begin + std::ptrdiff_t(weight.rows * row)};
  }
};

void feed(engine::Loader& loader, const std::vector<u8>& file, u64 step) {
  u64 end = 0;  // no byte comes twice
  while (!loader.done()) {
    ASSERT_GE(loader.position(), end);
    ASSERT_GT(loader.stream_end(), loader.position());
    ASSERT_FALSE(loader.space().empty());
    const u64 bytes = std::min({step, loader.stream_end() - loader.position(), u64(loader.space().size())});
    std::memcpy(loader.space().data(), file.data() + loader.position(), bytes);
    end = loader.position() + bytes;
    ASSERT_LE(end, file.size());
    loader.commit(bytes);
  }
}

TEST(Loader, RowsOfOneTensor) {
  struct Rows {
    u32 first, count;
  };
  const std::vector<Rows> splits[] = {
      {{0, 12}, {12, 20}, {32, 5}},         // all of them, one after the other
      {{0, 37}, {3, 9}, {3, 30}, {36, 1}},  // some lie in others
      {{5, 4}, {20, 3}},                    // with gaps
      {{9, 20}, {1, 10}},
  };
  for (const auto& [format, cols] : {std::pair{"F16", 8u}, {"F16", 6u}, {"F32", 5u}, {"Q8_0", 32u}, {"Q4_K", 256u}}) {
    const SharedTensors shared(format, cols);
    for (const auto& split : splits) {
      graph::Builder builder;
      for (const Rows& part : split) builder.weight("a", formats::find(format), part.count, cols, part.first);
      builder.weight("c", formats::find("F32"), 1, 128);
      const graph::Graph graph = builder.finish({}, {});
      for (const u64 step : {1u, 3u, 61u, 1000u, 100000u}) {
        SCOPED_TRACE(std::string(format) + " " + std::to_string(split.size()) + " step " + std::to_string(step));
        Collector sink(graph);
        engine::StagedLoader staged(shared.header, graph, sink);
        feed(staged, shared.file, step);
        engine::WeightMemory memory(shared.header, graph);
        feed(memory, shared.file, step);
        EXPECT_EQ(memory.allocated(), memory.bytes());
        for (u32 i = 0; i < graph.weights.size(); ++i) {
          const std::vector<u8> rows = shared.rows_of(graph.weights[i]);
          EXPECT_TRUE(sink.bytes[i] == rows) << "weight " << i;
          EXPECT_EQ(std::memcmp(memory.weight(graph::WeightId(i)), rows.data(), rows.size()), 0) << "weight " << i;
        }
      }
    }
  }
}

graph::Graph rows_of_a(std::initializer_list<std::pair<u32, u32>> rows) {
  graph::Builder builder;
  for (const auto& [first, count] : rows) builder.weight("a", formats::find("F16"), count, 8, first);
  return builder.finish({}, {});
}

TEST(WeightMemory, HoldsEachByteOnce) {
  const SharedTensors shared("F16", 8);
  const graph::Graph nested = rows_of_a({{0, 37}, {3, 9}, {3, 30}});
  engine::WeightMemory memory(shared.header, nested);
  EXPECT_EQ(memory.bytes(), 37u * 16);
  EXPECT_EQ(memory.allocated(), 0u);
  feed(memory, shared.file, 100);
  EXPECT_EQ(memory.allocated(), 37u * 16);
  EXPECT_EQ(memory.weight(graph::WeightId(1)), memory.weight(graph::WeightId(0)) + 3 * 16);
  EXPECT_EQ(memory.weight(graph::WeightId(2)), memory.weight(graph::WeightId(1)));
  // What lies between two neighbours is loaded with them.
  EXPECT_EQ(engine::WeightMemory(shared.header, rows_of_a({{2, 3}, {10, 4}})).bytes(), 12u * 16);
}

TEST(WeightMemory, LeavesOutWhatLiesFarBetween) {
  const ModelSpec spec{.layers = 3, .matrix = "F16"};
  const test::ModelFiles files = test::model_files(spec);
  const files::Gguf header = std::move(*files::parse_gguf(files[0], files[0].size())->gguf);
  std::vector<const files::TensorInfo*> tensors;
  for (const files::TensorInfo& tensor : header.tensors) tensors.push_back(&tensor);
  std::ranges::sort(tensors, {}, &files::TensorInfo::offset);
  const files::TensorInfo &first = *tensors.front(), &last = *tensors.back();
  ASSERT_GT(last.offset - (first.offset + first.bytes), 8192u);
  graph::Builder builder;
  for (const files::TensorInfo* tensor : {&last, &first}) {
    const formats::Format* format = formats::find(tensor->type);
    builder.weight(tensor->name, format, u32(tensor->rows()), u32(tensor->shape[0]));
  }
  const graph::Graph graph = builder.finish({}, {});
  engine::WeightMemory memory(header, graph);
  EXPECT_EQ(memory.bytes(), first.bytes + last.bytes);
  feed(memory, files[0], 1000);
  EXPECT_EQ(std::memcmp(memory.weight(graph::WeightId(0)), files[0].data() + last.offset, last.bytes), 0);
  EXPECT_EQ(std::memcmp(memory.weight(graph::WeightId(1)), files[0].data() + first.offset, first.bytes), 0);
}

// ---- Mapped files

TEST(MappedFile, IsUsedWhereItLies) {
  const test::ModelFiles files = test::model_files({.matrix = "Q8_0", .shuffled = true, .splits = 3});
  const auto model = test::open_model(files);
  ASSERT_TRUE(model) << model.error().message;
  const auto streamed = test::load(files, {.context = 64}, nullptr);
  ASSERT_TRUE(streamed) << streamed.error().message;
  const auto prompt = test::some_tokens(20, 1, (*model)->vocab_size());
  const auto expected = test::generate(**streamed, prompt, {.max_tokens = 8});
  ASSERT_TRUE(expected) << expected.error().message;
  EXPECT_EQ((*streamed)->allocated(), (*streamed)->plan().memory);
  EXPECT_EQ((*streamed)->allocated().staging, 0u);

  // At odd addresses too, and beside files that are streamed.
  for (u32 maps = 1; maps < 8; ++maps) {
    SCOPED_TRACE(maps);
    auto engine = Engine::create(*model, {.context = 64}, nullptr);
    ASSERT_TRUE(engine) << engine.error().message;
    std::vector<std::vector<u8>> moved(files.size());
    for (u32 file = 0; file < files.size(); ++file) {
      if (!(maps >> file & 1)) continue;
      moved[file].assign(maps, 0);
      moved[file].insert(moved[file].end(), files[file].begin(), files[file].end());
      ASSERT_TRUE((*engine)->map(file, std::span(moved[file]).subspan(maps)));
    }
    ASSERT_TRUE(test::feed(**engine, files));
    ASSERT_TRUE((*engine)->ready());
    EXPECT_EQ((*engine)->allocated(), (*engine)->plan().memory);
    const auto tokens = test::generate(**engine, prompt, {.max_tokens = 8});
    ASSERT_TRUE(tokens) << tokens.error().message;
    EXPECT_EQ(*tokens, *expected);
  }
}

TEST(MappedFile, ThatEndsWithinItsTensorsIsRefused) {
  const test::ModelFiles files = test::model_files({.layers = 1});
  auto engine = Engine::create(*test::open_model(files), {.context = 64}, nullptr);
  ASSERT_TRUE(engine) << engine.error().message;
  const u64 end = (*engine)->stream_end();
  const Status mapped = (*engine)->map(0, std::span(files[0]).first(end - 1));
  ASSERT_FALSE(mapped);
  EXPECT_EQ(mapped.error().message,
            "a file of the model ends at byte " + std::to_string(end - 1) + ", within its tensors");
  EXPECT_FALSE((*engine)->ready());
  EXPECT_FALSE((*engine)->pump());
}

// The plane that holds whole F32 rows must be the file's own bytes, in order: an expectation from outside the loader.
TEST(Loader, UnpaddedF32IsTheFilesBytes) {
  const ModelSpec spec{.layers = 1};
  const test::ModelFiles files = test::model_files(spec);
  const auto buffers = loaded(files, [](u64) { return 999; }, {});
  ASSERT_TRUE(buffers) << buffers.error().message;
  const auto header = files::parse_gguf(files[0], files[0].size());
  const std::vector<u8>& weights = (*buffers)[0];
  for (const files::TensorInfo& tensor : header->gguf->tensors) {
    const auto begin = files[0].begin() + std::ptrdiff_t(tensor.offset), end = begin + std::ptrdiff_t(tensor.bytes);
    EXPECT_NE(std::search(weights.begin(), weights.end(), begin, end), weights.end()) << tensor.name;
  }
}

TEST(Loader, CpuAndNullDeviceWantTheSameBytes) {
  const test::ModelFiles files = test::model_files({.matrix = "Q8_0", .shuffled = true, .splits = 2});
  u64 fed[2] = {};
  for (const bool gpu : {false, true}) {
    std::unique_ptr<gpu::Device> device;
    if (gpu) device = std::make_unique<gpu::NullDevice>();
    auto engine = Engine::create(*test::open_model(files), {}, std::move(device));
    ASSERT_TRUE(engine);
    ASSERT_TRUE(test::feed(**engine, files, [&](u64 fits) { return fed[gpu] += std::min<u64>(fits, 1000), 1000; }));
    EXPECT_TRUE((*engine)->ready());
  }
  EXPECT_EQ(fed[0], fed[1]);
}

// A slow GPU takes in what it is given late: meanwhile the driver holds copies, of which there must not be many.
TEST(Loader, WaitsForTheDeviceToTakeInWhatItWasGiven) {
  constexpr u64 most_in_flight = 24 << 20;
  const test::ModelFiles files = test::model_files({.layers = 4,
                                                    .width = 1024,
                                                    .feed_forward = 4096,
                                                    .vocab = 4000,
                                                    .heads = 8,
                                                    .kv_heads = 8,
                                                    .dim = 128,
                                                    .matrix = "F16",
                                                    .zeros = true});
  ASSERT_GT(files[0].size(), 4 * most_in_flight);
  auto e = NullEngine::create(*test::open_model(files), {.context = 16}, {.complete_work = false});
  ASSERT_TRUE(e) << e.error().message;
  Engine& engine = *e->engine;
  u64 taken_in = 0, waits = 0;
  std::deque<u64> marks;  // bytes uploaded before each question that is open
  while (!engine.bytes_done()) {
    const u64 uploaded = e->device->counters().uploaded_bytes;
    while (marks.size() < e->device->pending_work()) marks.push_back(uploaded);
    ASSERT_LE(uploaded - taken_in, most_in_flight);
    if (!engine.wants_bytes()) {
      ASSERT_FALSE(marks.empty());  // there is an event to wait for
      ASSERT_TRUE(engine.pump());
      ASSERT_FALSE(engine.wants_bytes());
      taken_in = marks.front();
      marks.pop_front();
      ASSERT_EQ(e->device->complete_work(1), 1u);
      ASSERT_TRUE(engine.pump());
      ASSERT_TRUE(engine.wants_bytes());
      ++waits;
    }
    const u64 bytes = std::min<u64>(engine.space().size(), engine.stream_end() - engine.position());
    ASSERT_TRUE(engine.commit(bytes));  // of zeros, whatever they are
  }
  EXPECT_GE(waits, 5u);
  EXPECT_TRUE(engine.ready());
  EXPECT_TRUE(e->device->violations().empty());
}

}  // namespace
}  // namespace pronk
