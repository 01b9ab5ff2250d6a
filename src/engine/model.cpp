#include "cpu/processors.h"
#include "engine/model_parts.h"
#include "engine/preflight.h"
#include "sources/folder.h"

namespace pronk {

std::vector<std::string> split_file_names(std::string_view name) { return files::all_split_names(name); }

Model::Model() : parts_(std::make_unique<Parts>()) {}
Model::~Model() = default;
Model::Model(Model&&) noexcept = default;
Model& Model::operator=(Model&&) noexcept = default;

std::span<const std::string_view> Model::folder_files() { return sources::folder_file_names(); }

std::span<const std::string_view> Model::named_files(std::string_view name, std::string_view contents) {
  return sources::named_files(name, contents);
}

Status Model::add_file(std::string_view name, std::string contents) {
  CHECK(!parts_->read && parts_->headers.empty());
  if (!parts_->source) parts_->source = sources::folder_source(name);
  PRONK_OK(parts_->source->add_file(name, std::move(contents)));
  parts_->file_count = u32(weight_files().size());
  return {};
}

std::span<const std::string> Model::weight_files() const {
  return parts_->source ? parts_->source->weight_files() : std::span<const std::string>();
}

std::string_view Model::weight_md5(u32 file) const {
  return parts_->source ? parts_->source->weight_md5(file) : std::string_view();
}

Result<u64> Model::add_header(u32 file, std::span<const u8> prefix, u64 file_size) {
  const std::optional<u64> size = file_size == ~u64{0} ? std::nullopt : std::optional(file_size);
  const u64 next = parts_->source ? parts_->source->weights_added() : parts_->headers.size();
  if (parts_->read || file != next) return fail("headers of split files must come in order");
  if (parts_->source) return parts_->source->add_header(prefix, size);
  PRONK_TRY(files::GgufPrefix parsed, files::parse_gguf(prefix, size, files::Keep::view));
  if (!parsed.gguf) return parsed.bytes_needed;
  if (file == 0) {
    PRONK_TRY(const u64 count, parsed.gguf->metadata.u64_or("split.count", 1));
    if (count > 10000) return fail("metadata key 'split.count' is out of range");
    parts_->file_count = std::max(1u, u32(count));
  }
  if (parts_->file_count == 1) {
    parts_->headers.push_back(std::move(*parsed.gguf));
    parts_->read = parts_->read_headers();  // while the prefix is there: a vocabulary is not held twice
    return u64{0};
  }
  PRONK_TRY(parsed, files::parse_gguf(prefix, size));
  parts_->headers.push_back(std::move(*parsed.gguf));
  return u64{0};
}

u32 Model::file_count() const { return parts_->file_count; }

Status Model::finish_headers() {
  if (!parts_->read) parts_->read = parts_->read_headers();
  return *parts_->read;
}

Status Model::Parts::join() {
  if ((source ? source->weights_added() : headers.size()) != file_count)
    return fail("not all files of the split model are here");
  if (source) {
    PRONK_TRY(file, source->header());
    for (const files::TensorInfo& tensor : file.tensors) {
      if (!tensor.parts.empty() || tensor.stored != files::Stored::whole)
        return fail(ErrorCode::unsupported, "tensor '" + tensor.name + "' has to be put together by a converter");
    }
  } else if (headers.size() == 1) {
    file = std::move(headers[0]);
  } else {
    PRONK_TRY(file, files::join_splits(std::move(headers)));
  }
  headers.clear();
  return {};
}

Status Model::Parts::read_text() {
  if (source) {
    PRONK_TRY(tokenizer, source->tokenizer());
    source.reset();
    return {};
  }
  PRONK_TRY(tokenizer, text::Tokenizer::from_metadata(file.metadata));
  return {};
}

Status Model::Parts::read_headers() {
  PRONK_OK(join());
  PRONK_TRY(models::Model read, models::read_model(file));
  model = std::make_shared<models::Model>(std::move(read));
  PRONK_OK(read_text());
  if (tokenizer->vocab_size() > model->hyper.vocab) {
    return fail("the vocabulary has " + std::to_string(tokenizer->vocab_size()) + " tokens, more than the " +
                std::to_string(model->hyper.vocab) + " rows of 'token_embd.weight'");
  }
  name = std::string(file.metadata.string_or("general.name", "").value_or(""));
  file.metadata = {};  // the vocabulary's bytes live on in the tokenizer alone
  return {};
}

Result<Model::Parts::Loadable> Model::Parts::loadable(LoadOptions options) const {
  const bool encoder = !model->graph.causal();
  options.embedding = options.embedding || encoder;
  options.scoring = options.scoring || options.embedding;
  if (options.threads == 0) options.threads = cpu::default_threads();
  if (!options.embedding || encoder) return Loadable{model, options};
  if (model->graph.pooling == graph::Pooling::rank)
    return fail(ErrorCode::unsupported, "rerankers of architecture '" + model->architecture + "' are not supported");
  models::Model embedder{model->architecture, model->hyper, graph::without_logits(model->graph)};
  return Loadable{std::make_shared<models::Model>(std::move(embedder)), options};
}

std::string_view Model::architecture() const { return parts_->model->architecture; }
std::string_view Model::name() const { return parts_->name; }
u32 Model::vocab_size() const { return parts_->model->hyper.vocab; }
u32 Model::trained_context() const { return parts_->model->hyper.context_length; }
const text::Tokenizer& Model::tokenizer() const { return *parts_->tokenizer; }

bool Model::encoder() const { return !parts_->model->graph.causal(); }
graph::Pooling Model::pooling() const { return parts_->model->graph.pooling; }

u64 Model::parameter_count() const {
  u64 count = 0;
  for (const auto& tensor : parts_->file.tensors) count += tensor.weights();
  return count;
}

u64 Model::file_bytes() const {
  u64 bytes = 0;
  for (const auto& tensor : parts_->file.tensors) bytes += tensor.bytes + (tensor.scales ? tensor.scales->bytes : 0);
  return bytes;
}

Result<Plan> Model::plan(const LoadOptions& options, const gpu::Limits* limits, const gpu::Features* features) const {
  PRONK_TRY(const Parts::Loadable loadable, parts_->loadable(options));
  return engine::Preflight(parts_->file, *loadable.model, loadable.options, limits, features).run(true);
}

}  // namespace pronk
