#include "file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/check.h"

namespace pronk::cli {

namespace {

std::unexpected<Error> os_error(const std::string& path) { return fail(path + ": " + std::strerror(errno)); }

Result<files::Gguf> read_header(const MappedFile& file, const std::string& path) {
  Result<files::GgufPrefix> parsed = files::parse_gguf(file.bytes(), file.size());
  if (!parsed) return fail(path + ": " + parsed.error().message);
  CHECK(parsed->gguf.has_value());  // with the whole file there is nothing to wait for
  return std::move(*parsed->gguf);
}

}  // namespace

Result<MappedFile> MappedFile::open(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return os_error(path);
  Result<MappedFile> file = of(descriptor, path);
  ::close(descriptor);
  return file;
}

Result<MappedFile> MappedFile::of(int descriptor, const std::string& path) {
  struct stat status = {};
  if (::fstat(descriptor, &status) != 0) return os_error(path);
  if (!S_ISREG(status.st_mode)) return fail(path + ": not a regular file");
  MappedFile file;
  if (status.st_size == 0) return file;
  void* at = ::mmap(nullptr, u64(status.st_size), PROT_READ, MAP_PRIVATE, descriptor, 0);
  if (at == MAP_FAILED) return os_error(path);
  file.data_ = static_cast<const u8*>(at);
  file.size_ = u64(status.st_size);
  return file;
}

void MappedFile::read_ahead() const {
  if (data_) ::madvise(const_cast<u8*>(data_), size_, MADV_WILLNEED);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

MappedFile::~MappedFile() {
  if (data_) ::munmap(const_cast<u8*>(data_), size_);
}

std::span<const u8> ModelFile::bytes(const files::TensorInfo& tensor) const {
  return files[tensor.file].bytes().subspan(tensor.offset, tensor.bytes);
}

Result<ModelFile> open_model(const std::string& path) {
  ModelFile model;
  std::vector<files::Gguf> headers;
  for (const std::string& name : files::all_split_names(path)) {
    PRONK_TRY(MappedFile file, MappedFile::open(name));
    PRONK_TRY(files::Gguf header, read_header(file, name));
    model.files.push_back(std::move(file));
    headers.push_back(std::move(header));
  }
  Result<files::Gguf> joined = files::join_splits(std::move(headers));
  if (!joined) return fail(path + ": " + joined.error().message);
  model.gguf = std::move(*joined);
  return model;
}

Result<OutputFile> OutputFile::create(const std::string& path) {
  OutputFile out;
  out.file_ = std::fopen(path.c_str(), "wb");
  if (!out.file_) return os_error(path);
  out.path_ = path;
  return out;
}

OutputFile::OutputFile(OutputFile&& other) noexcept
    : file_(std::exchange(other.file_, nullptr)), path_(std::move(other.path_)) {}

OutputFile::~OutputFile() {
  if (!file_) return;
  std::fclose(file_);
  discard();
}

void OutputFile::discard() const {
  struct stat status = {};
  if (::stat(path_.c_str(), &status) == 0 && S_ISREG(status.st_mode)) std::remove(path_.c_str());  // not /dev/stdout
}

Status OutputFile::write(std::span<const u8> bytes) {
  if (std::fwrite(bytes.data(), 1, bytes.size(), file_) != bytes.size()) return os_error(path_);
  return {};
}

Status OutputFile::close() {
  if (std::fclose(std::exchange(file_, nullptr)) != 0) {
    const auto error = os_error(path_);
    discard();
    return error;
  }
  return {};
}

Result<std::string> read_stdin() {
  std::string text;
  char part[65536];
  while (const std::size_t count = std::fread(part, 1, sizeof part, stdin)) text.append(part, count);
  if (std::ferror(stdin)) return os_error("standard input");
  return text;
}

}  // namespace pronk::cli
