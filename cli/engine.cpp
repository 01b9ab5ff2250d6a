#include "engine.h"

#include <fcntl.h>
#include <unistd.h>

#include <charconv>
#include <chrono>
#include <cstdio>
#include <filesystem>

#include "file.h"
#include "gpu/native.h"

namespace pronk::cli {
namespace {

std::vector<std::string> split_paths(const std::string& path) {
  const std::filesystem::path full(path);
  std::vector<std::string> paths;
  for (const std::string& name : split_file_names(full.filename().string())) {
    paths.push_back((full.parent_path() / name).string());
  }
  return paths;
}

// Reads files by position into the engine's own buffer: no part of a model is ever held twice.
class Reader {
 public:
  explicit Reader(std::vector<std::string> paths) : paths_(std::move(paths)) {}
  ~Reader() { close(); }

  Result<u64> read(u32 file, u64 position, std::span<u8> into) {
    if (file != file_) {
      close();
      descriptor_ = ::open(paths_[file].c_str(), O_RDONLY | O_CLOEXEC);
      if (descriptor_ < 0) return fail("cannot open '" + paths_[file] + "'");
      file_ = file;
    }
    const ssize_t got = ::pread(descriptor_, into.data(), into.size(), off_t(position));
    if (got <= 0) return fail("cannot read '" + paths_[file] + "' at byte " + std::to_string(position));
    return u64(got);
  }

 private:
  void close() {
    if (descriptor_ >= 0) ::close(descriptor_);
    descriptor_ = -1;
  }

  std::vector<std::string> paths_;
  u32 file_ = ~0u;
  int descriptor_ = -1;
};

Status stream(Engine& engine, Reader& reader) {
  while (engine.wants_bytes()) {
    const std::span<u8> space = engine.space();
    const u64 wanted = std::min<u64>(space.size(), engine.stream_end() - engine.position());
    PRONK_TRY(const u64 got, reader.read(engine.file(), engine.position(), space.first(wanted)));
    PRONK_OK(engine.commit(got));
    if (engine.device()) engine.device()->poll();
  }
  return {};
}

graph::KvType kv_type(std::string_view name) {
  if (name == "f32") return graph::KvType::f32;
  if (name == "q8_0") return graph::KvType::q8;
  return name == "q4_0" ? graph::KvType::q4 : graph::KvType::f16;
}

// models/ of the repository that the program was built in, or models/ beside the program.
Result<std::string> model_in_the_box() {
  std::error_code error;
  const std::filesystem::path folder = std::filesystem::read_symlink("/proc/self/exe", error).parent_path();
  for (const char* models : {"../../models", "models"}) {
    const std::filesystem::path path = (folder / models / "pronk-box.gguf").lexically_normal();
    if (std::filesystem::exists(path, error)) return path.string();
  }
  return fail("no -m FILE is given, and the model in the box is not beside this program");
}

}  // namespace

Result<EngineChoice> engine_choice(const Args& args, bool scoring) {
  EngineChoice choice;
  choice.path = std::string(args.text("-m"));
  if (choice.path.empty()) {
    PRONK_TRY(choice.path, model_in_the_box());
  }
  choice.backend = args.text("--backend");
  choice.options.context = u32(args.integer("--ctx"));
  const std::string_view keys = args.text("--kv", "f16");
  choice.options.kv = {kv_type(keys), kv_type(args.text("--kv-v", keys))};
  choice.options.scoring = scoring;
  return choice;
}

Result<std::shared_ptr<const Model>> open_headers(const std::string& path) {
  auto model = std::make_shared<Model>();
  std::vector<std::string> paths = split_paths(path);
  for (u32 file = 0; file < std::max<u64>(model->file_count(), 1); ++file) {
    if (file >= paths.size()) return fail("'" + path + "' is one part of a split model but is not named like one");
    PRONK_TRY(const MappedFile mapped, MappedFile::open(paths[file]));
    const Result<u64> needed = model->add_header(file, mapped.bytes(), mapped.size());
    if (!needed) return fail(paths[file] + ": " + needed.error().message);
    if (*needed != 0) return fail("'" + paths[file] + "' ends within its header");
  }
  PRONK_OK(model->finish_headers());
  return model;
}

Result<std::unique_ptr<gpu::Device>> open_device(std::string_view backend) {
  if (backend == "cpu") return nullptr;
  auto device = gpu::create_native_device();
  if (device || backend == "webgpu") return device;
  std::fprintf(stderr, "pronk: %s; running on the CPU\n", device.error().message.c_str());
  return nullptr;
}

Status turn(Engine& engine) {
  constexpr int most_waits = 1800;  // a chunk of a large prompt on a CPU driver takes minutes
  if (!engine.wants_pump() && engine.device()) {
    for (int i = 0; i < most_waits && !engine.device()->has_event(); ++i) gpu::wait(*engine.device(), std::chrono::seconds(1));
    if (!engine.device()->has_event()) return fail("the device has not answered for half an hour");
  }
  return engine.pump();
}

Result<std::unique_ptr<Engine>> open_engine(const EngineChoice& choice) {
  PRONK_TRY(auto model, open_headers(choice.path));
  PRONK_TRY(auto device, open_device(choice.backend));
  PRONK_TRY(auto engine, Engine::create(model, choice.options, std::move(device)));
  Reader reader(split_paths(choice.path));
  PRONK_OK(stream(*engine, reader));
  PRONK_OK(engine->pump());
  while (!engine->ready()) PRONK_OK(turn(*engine));
  return engine;
}

std::expected<std::vector<u32>, Failure> parse_tokens(std::string_view list) {
  std::vector<u32> tokens;
  for (const char *at = list.data(), *end = at + list.size(); at < end; ++at) {
    u32 token = 0;
    const auto [next, error] = std::from_chars(at, end, token);
    if (error != std::errc() || (next < end && *next != ',') || next + 1 == end) {
      return bad_usage("--tokens wants ids with commas between, such as 1,2,3");
    }
    tokens.push_back(token);
    at = next;
  }
  if (tokens.empty()) return bad_usage("--tokens is empty");
  return tokens;
}

}  // namespace pronk::cli
