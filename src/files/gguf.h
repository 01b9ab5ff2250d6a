// GGUF: bytes in, tensor table out; no I/O. Versions 2 and 3, little-endian. Format: ggml's docs/gguf.md.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/types.h"
#include "files/metadata.h"

namespace pronk::files {

constexpr u64 max_header_bytes = u64{1} << 30;
constexpr u32 default_alignment = 32;
constexpr u32 max_alignment = 1 << 20;
constexpr u32 max_tensor_name = 64;  // bytes
constexpr u32 max_key = 65535;       // bytes

// Where the scales of a tensor lie that other sources keep apart (formats/pieces.h).
struct ScalesPlace {
  u32 file = 0;
  u64 offset = 0;
  u64 bytes = 0;
};

// How the bytes of another source's tensor differ from those of its type; a converter makes these of them
// (convert/job.h), the engine runs none but `whole`.
enum class Stored : u8 {
  whole,         // not at all
  columns,       // rows as columns, of one, two or four bytes an element; of I8 the first two dimensions are one
  numbers,       // bytes of a block format whose scales are 1
  of_127,        // F32 that is to be divided by 127
  logs,          // floats that are to be −exp(x)
  even_rows,     // its rows are every second one of those that are stored, from the first on
  odd_rows,      // from the second on
  even_columns,  // rows as every second column, from the first on
  odd_columns,   // from the second on
  quarters,      // two bits a number, one scale: byte r of a column has rows r, n / 4 + r, … from the lowest bits up
};

// Rows of a tensor that lie together in a file of another source.
struct TensorPart {
  u32 file = 0;
  u64 offset = 0;
  u64 bytes = 0;                      // that are stored
  std::optional<ScalesPlace> scales;  // what is above is the codes
  Stored stored = Stored::whole;
  u64 row = 0, rows = 0;  // bytes and number of those that it becomes
};

struct TensorInfo {
  std::string name;
  u32 type = 0;                          // ggml type id; its size is known (ggml_types.h), pronk may not run it
  std::array<u64, 4> shape{1, 1, 1, 1};  // fastest dimension first: [row weights, rows, …], filled up with 1
  u32 dims = 0;                          // 1–4, as in the file
  u64 offset = 0;                        // of its first byte, from the start of its file
  u64 bytes = 0;
  u32 file = 0;  // index of its file among the splits
  Stored stored = Stored::whole;
  float added = 0;                    // to each of its weights, which are a vector: norms of other sources count from 1
  std::optional<ScalesPlace> scales;  // what is above is the codes
  std::vector<TensorPart> parts;      // unless empty, it is made of these in turn: no place above holds

  u64 weights() const { return shape[0] * shape[1] * shape[2] * shape[3]; }
  u64 rows() const { return shape[1] * shape[2] * shape[3]; }
};

struct Gguf {
  u32 version = 0;
  u32 alignment = default_alignment;
  Metadata metadata;
  std::vector<TensorInfo> tensors;  // in the order of the file(s)
  u64 data_offset = 0;              // where tensor data starts (of the first file)
  u64 end = 0;                      // first byte after the last tensor; after the header when there are none

  const TensorInfo* find(std::string_view name) const;  // null when there is none

  std::vector<u32> by_name;  // indices into tensors, sorted by name
};

struct GgufPrefix {
  std::optional<Gguf> gguf;  // when the prefix holds the whole header
  u64 bytes_needed = 0;      // else: call again with at least so many bytes from the start of the file
};

// Makes by_name. Two tensors of one name are an error.
Status index_tensors(Gguf& gguf);

// Parses the header from the first bytes of a file. What bytes_needed asks for is at least a quarter more than the
// prefix (as far as the file goes), so that parsing from the start each time stays linear, and little is read beyond
// the header. With file_size, a header or a tensor that ends past it is an error; a caller that meets the end of a file
// of unknown size calls once more with file_size set. Nothing is allocated that the prefix does not back. Errors name
// the field, key or tensor.
Result<GgufPrefix> parse_gguf(std::span<const u8> prefix, std::optional<u64> file_size, Keep keep = Keep::copy);

// "name-00002-of-00003.gguf": number is 1-based as in the name.
struct SplitName {
  std::string stem;  // what stands before "-00002-of-"
  u32 number = 0;
  u32 count = 0;
};
std::optional<SplitName> parse_split_name(std::string_view name);  // nullopt: not the name of a split
std::string split_name(const SplitName& name);
// Names of all splits in order, from the name of any one; a name that is not a split's gives itself alone.
std::vector<std::string> all_split_names(std::string_view name);

// One table from the headers of all splits in order; a single unsplit file passes through. Metadata is that of the
// first file. Checks split.no, split.count, split.tensors.count and that no tensor is there twice.
Result<Gguf> join_splits(std::vector<Gguf> splits);

}  // namespace pronk::files
