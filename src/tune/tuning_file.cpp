#include "tune/tuning_file.h"

#include "base/quote.h"

namespace pronk::tune {
namespace {

constexpr std::string_view first_line = "pronk tuning 1", equals = " = ";
constexpr std::size_t longest_text = 1 << 20;

std::string hash_text() {
  std::string text;
  for (u64 hash = kernels::kernels_hash(), i = 0; i < 16; ++i) text += "0123456789abcdef"[hash >> (60 - 4 * i) & 15];
  return text;
}

std::string_view take_line(std::string_view& text) {
  const std::size_t end = text.find('\n');
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end == text.npos ? text.size() : end + 1);
  return line;
}

// The rest of a line that begins with a word.
std::optional<std::string_view> after(std::string_view line, std::string_view word) {
  if (!line.starts_with(word)) return std::nullopt;
  return line.substr(word.size());
}

bool is_candidate(std::string_view key, std::string_view name) {
  bool found = false;
  each_enumerator(kernels::TunedKernel(), [&](const char* kernel, kernels::TunedKernel each) {
    if (!key.starts_with(std::string(kernel) + " ")) return;
    for (u32 i = 0; i < kernels::candidate_count(each); ++i) found = found || kernels::candidate_name(each, i) == name;
  });
  return found;
}

}  // namespace

std::string adapter_name(const gpu::AdapterInfo& adapter) {
  std::string name;
  for (const std::string* part : {&adapter.vendor, &adapter.architecture, &adapter.device, &adapter.description}) {
    if (!part->empty()) name += (name.empty() ? "" : " ") + *part;
  }
  for (char& c : name) c = u8(c) < 0x20 ? ' ' : c;
  return name;
}

std::string tuning_text(const kernels::Tuning& tuning, const gpu::AdapterInfo& adapter) {
  std::string text(first_line);
  text += "\nadapter " + adapter_name(adapter) + "\nkernels " + hash_text() + "\n";
  for (const auto& [key, candidate] : tuning.choices()) text += key + std::string(equals) + candidate + "\n";
  return text + "end " + std::to_string(tuning.choices().size()) + "\n";
}

Result<kernels::Tuning> parse_tuning(std::string_view text, const gpu::AdapterInfo& adapter) {
  if (text.size() > longest_text || take_line(text) != first_line) return fail("this is no file of pronk tune");
  const auto named = after(take_line(text), "adapter ");
  const auto hash = after(take_line(text), "kernels ");
  if (!named || !hash) return fail("the tuning file is damaged in its first three lines");
  if (*named != adapter_name(adapter))
    return fail("the tuning file is of another GPU or driver, " + quoted(*named) + "; this is " +
                quoted(adapter_name(adapter)));
  if (*hash != hash_text()) return fail("the tuning file is of another version of the kernels");
  kernels::Tuning tuning;
  for (u32 number = 4; !text.empty(); ++number) {
    const std::string_view line = take_line(text);
    if (text.empty() && line == "end " + std::to_string(tuning.choices().size())) return tuning;
    const std::size_t at = line.find(equals);
    if (at == line.npos || !is_candidate(line.substr(0, at), line.substr(at + equals.size())))
      return fail("the tuning file is damaged in line " + std::to_string(number));
    tuning.choose(std::string(line.substr(0, at)), std::string(line.substr(at + equals.size())));
  }
  return fail("the tuning file ends too early");
}

}  // namespace pronk::tune
